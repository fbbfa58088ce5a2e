"""Where the sandbox's business answers the telephone, and what people there are called and pay with."""

from __future__ import annotations

from dataclasses import dataclass

from krosai_calls.sandbox.dice import Dice


# Compared by identity: there is one of each.
@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A city with a number of the business, and what is needed to sound like it.

    Attributes:
        city: The city's name.
        phone_number_id: The service's name for the business's number there, if it has one.
        number: That number, E.164.
        utc_offset_hours: What local clocks show, without daylight saving.
        mobile_prefixes: What a customer's number begins with, after the plus sign.
        mobile_digits: How many digits follow the prefix.
        cents_per_minute: What a started minute costs.
        currency: A price tag, to be formatted with the amount.
        price_factor: How much of it makes a US dollar.
        price_step: What prices are rounded to.
        first_names: What callers are called.
        surnames: Their family names.
        areas: Quarters of the city, for addresses.
        streets: Streets, for addresses.
        thanks: Ways to say thank you, some of them in the language of the place.
        fine: Ways to say yes or all right.
        opening: Words a caller starts a sentence with.
    """

    city: str
    phone_number_id: str | None
    number: str
    utc_offset_hours: int
    mobile_prefixes: tuple[str, ...]
    mobile_digits: int
    cents_per_minute: int
    currency: str
    price_factor: float
    price_step: int
    first_names: tuple[str, ...]
    surnames: tuple[str, ...]
    areas: tuple[str, ...]
    streets: tuple[str, ...]
    thanks: tuple[str, ...]
    fine: tuple[str, ...]
    opening: tuple[str, ...]

    def customer_number(self, dice: Dice) -> str:
        """Draw a customer's mobile number."""
        return f"+{dice.pick(self.mobile_prefixes)}{dice.digits(self.mobile_digits)}"

    def price(self, dollars: float) -> str:
        """Write a price the way it is said here."""
        amount = max(round(dollars * self.price_factor / self.price_step), 1) * self.price_step
        return self.currency.format(amount)


LAGOS = Place(
    city="Lagos",
    phone_number_id="pn_lagos",
    number="+2347005550140",
    utc_offset_hours=1,
    mobile_prefixes=("234803", "234806", "234813", "234816", "234703", "234805", "234815", "234902", "234909"),
    mobile_digits=7,
    cents_per_minute=4,
    currency="₦{:,}",
    price_factor=1500,
    price_step=500,
    first_names=("Chidi", "Folake", "Ngozi", "Tunde", "Adaeze", "Segun", "Yétúndé", "Emeka", "Bisi", "Uche"),
    surnames=("Okafor", "Adebáyọ̀", "Eze", "Balogun", "Nwosu", "Ogunleye", "Bello", "Okonkwo"),
    areas=("Surulere", "Yaba", "Lekki Phase 1", "Ikeja GRA", "Festac Town", "Ajah"),
    streets=("Adeniran Ogunsanya Street", "Herbert Macaulay Way", "Admiralty Way", "Allen Avenue"),
    thanks=("Thank you, God bless you.", "Ah, thank you well well.", "Thanks, I appreciate.", "E ṣé, thank you."),
    fine=("Okay o.", "No wahala.", "Yes, that's fine.", "Correct.", "Oya, okay."),
    opening=("Abeg,", "Please,", "Good day,", "Hello, hello,", "Ehen, so"),
)

NAIROBI = Place(
    city="Nairobi",
    phone_number_id="pn_nairobi",
    number="+254709555020",
    utc_offset_hours=3,
    mobile_prefixes=("254710", "254712", "254720", "254722", "254725", "254733", "254740", "254757", "254791"),
    mobile_digits=6,
    cents_per_minute=6,
    currency="{:,} shillings",
    price_factor=130,
    price_step=50,
    first_names=("Wanjiru", "Otieno", "Achieng", "Kamau", "Njeri", "Mwangi", "Akinyi", "Kiprop", "Amina", "Brian"),
    surnames=("Kariuki", "Odhiambo", "Mutua", "Wafula", "Cheruiyot", "Njoroge", "Omondi", "Hassan"),
    areas=("Kilimani", "South B", "Westlands", "Lang'ata", "Kasarani", "Ngara"),
    streets=("Argwings Kodhek Road", "Ngong Road", "Mombasa Road", "Thika Road"),
    thanks=("Asante sana.", "Thank you, asante.", "Sawa, thanks a lot.", "Okay, thank you so much."),
    fine=("Sawa.", "Sawa sawa.", "Yes, that works.", "Ni sawa.", "Okay, poa."),
    opening=("Habari,", "Please,", "Hi, yes,", "Eeh, hello,", "Sasa,"),
)

ACCRA = Place(
    city="Accra",
    phone_number_id="pn_accra",
    number="+233302550160",
    utc_offset_hours=0,
    mobile_prefixes=("23324", "23354", "23355", "23359", "23320", "23350", "23326", "23327"),
    mobile_digits=7,
    cents_per_minute=7,
    currency="{:,} cedis",
    price_factor=12,
    price_step=5,
    first_names=("Kwame", "Abena", "Kofi", "Efua", "Yaw", "Akosua", "Kojo", "Adwoa", "Nana", "Selorm"),
    surnames=("Mensah", "Owusu", "Boateng", "Asante", "Agyeman", "Tetteh", "Quaye", "Ansah"),
    areas=("Osu", "East Legon", "Labone", "Madina", "Dansoman", "Tema Community 8"),
    streets=("Oxford Street", "Boundary Road", "Ring Road East", "Spintex Road"),
    thanks=("Medaase.", "Thank you, medaase paa.", "Okay, thank you very much.", "God bless you, thank you."),
    fine=("Yoo, okay.", "That's okay.", "Okay, okay.", "Fine, fine.", "Alright."),
    opening=("Please,", "Good day, please,", "Chale, hello,", "Hello, please,", "Ei,"),
)

CAPE_TOWN = Place(
    city="Cape Town",
    phone_number_id="pn_cape_town",
    number="+27215550182",
    utc_offset_hours=2,
    mobile_prefixes=("2782", "2783", "2772", "2773", "2784", "2776", "2761", "2781"),
    mobile_digits=7,
    cents_per_minute=5,
    currency="R{:,}",
    price_factor=18,
    price_step=10,
    first_names=("Thandi", "Pieter", "Aisha", "Sipho", "Chanté", "Zola", "Riaan", "Nomvula", "René", "Lindiwe"),
    surnames=("Jacobs", "Dlamini", "van der Merwe", "Petersen", "Mokoena", "Botha", "Davids", "Nkosi"),
    areas=("Observatory", "Sea Point", "Mitchells Plain", "Claremont", "Woodstock", "Table View"),
    streets=("Lower Main Road", "Kloof Street", "Voortrekker Road", "Beach Road"),
    thanks=("Baie dankie.", "Thanks so much, hey.", "Enkosi, thank you.", "Lekker, thanks."),
    fine=("Ja, that's fine.", "Okay, cool.", "Lekker.", "Ja, okay.", "Sharp."),
    opening=("Howzit,", "Hi there,", "Ja, hello,", "Molo,", "Hi, listen,"),
)

CAIRO = Place(
    city="Cairo",
    phone_number_id="pn_cairo",
    number="+20225550173",
    utc_offset_hours=2,
    mobile_prefixes=("20100", "20101", "20106", "20109", "20111", "20114", "20120", "20122", "20155"),
    mobile_digits=7,
    cents_per_minute=8,
    currency="{:,} pounds",
    price_factor=48,
    price_step=10,
    first_names=("Youssef", "Mariam", "Omar", "Nour", "Salma", "Karim", "Farida", "Hana", "Mahmoud", "Zeinab"),
    surnames=("Hassan", "Fouad", "Mansour", "El-Sayed", "Naguib", "Shafik", "Abdelrahman", "Gamal"),
    areas=("Zamalek", "Maadi", "Heliopolis", "Dokki", "Nasr City", "Mohandessin"),
    streets=("26th of July Street", "Road 9", "Baghdad Street", "Mosaddak Street"),
    thanks=("Shukran.", "Shukran, thank you.", "Alf shukr.", "Thank you, very kind."),
    fine=("Tamam.", "Mashi, okay.", "Yes, perfect.", "Yalla, okay.", "Aywa, fine."),
    opening=("Salam,", "Good day,", "Allo,", "Yes, hello,", "Please,"),
)

AUSTIN = Place(
    city="Austin",
    phone_number_id="pn_austin",
    number="+15125550119",
    utc_offset_hours=-6,
    # 555-01xx is kept free for fiction, whatever the area.
    mobile_prefixes=("151255501", "173755501", "121055501", "171355501", "121455501", "125455501"),
    mobile_digits=2,
    cents_per_minute=2,
    currency="${:,}",
    price_factor=1,
    price_step=1,
    first_names=("Emily", "José", "Marcus", "Renée", "Hannah", "Luis", "Dana", "Travis", "Priya", "Sofía"),
    surnames=("Martinez", "Nguyen", "Carter", "O'Brien", "Peña", "Patel", "Walker", "Reyes"),
    areas=("Hyde Park", "East Austin", "Zilker", "Mueller", "South Congress", "Round Rock"),
    streets=("Duval Street", "Barton Springs Road", "Guadalupe Street", "Cesar Chavez Street"),
    thanks=("Thanks a bunch.", "Awesome, thank you.", "Thank you so much, bye.", "Gracias, have a good one."),
    fine=("Sure.", "Yep, that works.", "Sounds good.", "Okay, great.", "Perfect."),
    opening=("Hey,", "Hi, yeah,", "Hi there,", "Yes, hi,", "Hey, how's it going,"),
)

# The home market comes most often.
PLACES = (LAGOS, LAGOS, LAGOS, LAGOS, NAIROBI, NAIROBI, NAIROBI, ACCRA, ACCRA, CAPE_TOWN, CAPE_TOWN, CAIRO, AUSTIN)
