"""What is talked about with a shop or a guest house. ``conversations`` says how to read the texts."""

from __future__ import annotations

SHOP_INBOUND = (
    """
    A: {greeting}, {business}, this is {agent}. How can I help you today?
    | {business}, {greeting_low}. {agent} speaking.
    C: {opening} it's about my order, {order}. It should have come {past}.
    | {opening} I'm still waiting for {order}. The app has said "on its way" since {past_day}.
    A: I'm sorry about that. May I have the name on the order?
    | That is not how it should be. Whose name is it under?
    C: {full_name}. | It's {full_name}, in {area}.

    ?
    A: Thank you, {caller}. That is the {item}, for {amount}, correct?
    C: Correct, the {item}. I paid already, by transfer. | Yes, that one. It's a gift, so I'm a bit nervous.

    A: I can see it, {caller}. The rider missed your gate on {street} and took it back.
    | Found it. It left our depot this morning and the rider is now in {area}.
    | It was held one night for a wrong house number. It is sorted and moving again.
    C: Nobody called me, though. When will it reach me?
    | Ah. So today or not today?
    | {fine} What time should I expect it?
    A: Before {time} {soon}, and the rider will call you first.
    | Between {time} and {later} {soon}. I have sent you the rider's number by text.

    ?
    C: And the delivery fee? I should not pay for this twice.
    A: You won't. I have taken the {fee} off; you will see it on the receipt.

    C: {thanks} | {fine} {thanks}
    """,
    """
    A: {business}, you are speaking with {agent}, the virtual assistant. What can I do for you?
    | {greeting}! {business}, {agent} here.
    C: {opening} the {item} you sent me is broken. I opened the box and one side is cracked.
    | {opening} I got the wrong thing. I ordered a {item} and you brought me something else entirely.
    A: Oh no, I'm sorry. Do you have the order number? It begins with K R.
    | That must be annoying. Could you read me the order number?
    C: {order}. | Let me look… {order}. Yes, {order}.

    ?
    A: And has anybody tried to use it, or is it still in the box?
    C: Still in the box. I only took the picture and closed it again.
    | My son plugged it in once. It made a noise and that was all.

    A: Thank you. I can send a new one on {day}, or give you back {amount}. Which would you prefer?
    | You have two choices, {caller}:// a replacement on {day},// or a refund of {amount} to the same account.
    C: Send a new one, please. But let them check it first.
    | The refund, please. I found one here in {area} already.
    | A new one. {day} is good for me.
    A: Done. The rider takes the old one along, so please keep the box.
    | It's arranged. You will get a message in a minute with everything in writing.
    C: {thanks} | Okay. {thanks}
    """,
    """
    A: {greeting}, {business}. {agent} speaking, how can I help?
    | Thanks for calling {business} in {city}. This is {agent}.
    C: {opening} I'd like to order the same thing as last time. The {item}.
    | {opening} do you still have the {item}? The one on your page for {amount}.
    A: We do, {amount}, and there are three left. Shall I put one aside?
    | Yes, it's in stock. It is {amount}, and delivery to {area} is {fee}.

    ?
    C: {amount}? Last month it was less. Can't you do something small for me?
    A: I can't touch the price, {caller}, but I can make the delivery free.
    | The price is fixed, I'm afraid. I can waive the {fee} for delivery.

    C: {fine} To {number} {street}, please, {area}. | Okay, one then. My address is the same, {street}.
    A: To {number} {street}, on {day} after {time}. Will you pay now or at the door?
    | Wonderful. {day} around {time}. Cash, card or mobile money?
    C: Cash, at the door. | Mobile money, same number I'm calling from. | Card. I have it ready.
    A: Then it's booked under {order}. Thank you, {caller}.
    | Your number is {order}. You will get a text when the rider sets off.

    ?
    C: Wait, one more thing. Can they come to the back gate? The front one is locked.
    A: I've written it down: back gate, front one locked.

    C: {thanks}
    """,
    """
    A: {business}, {greeting_low}. You have reached {agent}. | {greeting}, this is {agent} at {business}.
    C: {opening} please cancel {order}. I found out my sister bought the same {item}.
    | {opening} I want to cancel an order. {order}, for {full_name}.
    A: Let me see if it has left the shop. … It hasn't, so that's easy.
    | One moment, {caller}. It is packed but not yet with the rider, so yes, I can stop it.
    C: Good. And the money? I paid {amount}. | {fine} How do I get my {amount} back?
    A: It goes back the way it came, within three working days.
    | {amount}, to the account you paid from. Usually it's there by {day}.

    ?
    C: Three days! When I pay you, it takes three seconds.
    A: I know, and I'm sorry. The bank takes that time; I have sent it off just now.

    ?
    A: May I ask if something was wrong with our service?
    C: No, no. The service is fine, we just don't need two of them.
    | To be honest, the delivery was going to take too long.

    A: Is there anything else, {caller}? | You'll get the confirmation by text. Anything else I can do?
    C: No, that's all. {thanks}
    """,
)

SHOP_OUTBOUND = (
    """
    C: Hello? | Yes, hello, who is this? | {caller} speaking.
    A: {greeting}, {caller}. This is {agent}, calling for {business}. Our rider is in {area} with your
      {item} and can't find the house.
    | Hello {caller}, {agent} from {business}. The rider is on {street} with your order and asks which
      gate is yours.
    C: Tell him the blue gate, after the pharmacy.
    | He has passed it! It's number {number}, opposite the petrol station.
    | Ah, everybody gets lost here. The street sign has fallen down.

    ?
    A: So from the junction it's left or right?
    C: Left, then left again. If he sees the church, he has gone too far.

    A: Number {number}, {street}. Thank you, I'm telling him now.
    | Got it, I've passed it on. He should be there in five minutes.
    C: {fine} I'll send somebody out to wave. | Okay, I'm coming out.

    ?
    A: Please have {amount} ready, he has no change with him.
    C: I'll pay by phone, it's easier. | {amount}, no problem. I have it exactly.

    A: Perfect. Enjoy the {item}, {caller}. | Thank you, and have a lovely day.
    C: {thanks}
    """,
    """
    C: Hello. | Hello, yes?
    A: {greeting}, am I speaking with {full_name}? This is {agent} from {business}. You got a {item}
      from us {past}.
    | Hello, is this {caller}? {agent} here, from {business}. It's about the {item} we brought you
      {past}; it will only take a minute.
    C: Yes, that's me. Is there a problem? | Yes? I already paid for it.
    A: No problem at all. We only want to know if everything arrived as it should.
    | Everything is fine. From one to five, how was the delivery?
    | Not at all. I only want to ask if you are happy with it.
    C= It was good. The rider was very polite.
    | Four. He came late, but he called before.
    | The {item} is great, but the box looked like it had been in a fight.

    ?
    A: And would you order from us again?
    C: Sure, if the prices stay as they are. | Of course. My neighbour wants one too.

    A: Thank you, I'll pass that on to the team in {city}.
    | That helps us. There are {fee} in your account, as a thank-you.
    C: {thanks} | Oh, nice. {thanks}
    """,
)

STAYS_INBOUND = (
    """
    A: {business} in {city}, {greeting_low}, {agent} speaking.
    | {greeting}, thank you for calling {business}. This is {agent}.
    C: {opening} do you have a room free from {day}, for {nights} nights?
    | {opening} I need a room for my parents, {nights} nights, starting {day}.
    A= For how many people? | Let me look. Only the two of them?
    C= Two, and a baby. Do you have a cot? | The two of them, yes. They go to bed early.

    A: I have the {room} for {amount} a night, with breakfast.
    | There is the {room}, quiet, breakfast included, at {amount} a night.

    ?
    C: Does it have a generator? The last place left us in the dark.
    | And parking? I'm coming with the car.
    | Is there hot water in the morning? I have to ask.
    A= It does, and it starts by itself.
    | There is a yard with a guard, free of charge.
    | At any hour, {caller}. I promise.

    C: {fine} Put it under {full_name}. | Good, I'll take it. The name is {full_name}.
    A: Booked, {full_name}, from {day}, {nights} nights. You can cancel free of charge until noon the
      day before.
    | Wonderful. I'm sending you the confirmation now. Check-in is from {time}.
    C: {thanks}
    """,
    """
    A: {greeting}, {business}, {agent} at your service. | {business}, {city}. You're speaking with {agent}.
    C: {opening} I have a booking for tonight, but my flight is late. I land after ten.
    | {opening} it's {full_name}, I'm arriving tonight, only much later than I said.
    A: No problem, {caller}, somebody is at the desk all night.
    | Don't worry, we'll keep the {room} for you. When do you expect to be here?
    C: Maybe one in the morning, if the taxi finds you.
    | Around midnight, inshallah.
    | Depends on the traffic, you know how it is.

    ?
    A: Shall I send our driver? It's {fee} from the airport.
    C: {fee}? Okay, that's fair. Yes please. | No, a cousin is picking me up. But thank you.

    ?
    C: Will there be anything to eat at that hour?
    A: The kitchen closes at ten, but we'll leave you a plate. Is fish all right?
    | Sandwiches and fruit, in your room. Coffee whenever you like.

    A: Then I've noted a late arrival. Ring the bell at the gate on {street}.
    | All noted. The night porter knows your name.
    C: {thanks} | {fine} {thanks}
    """,
)

STAYS_OUTBOUND = (
    """
    C: Hello, who's calling? | Hello? {full_name}.
    A: {greeting}, this is {agent} from {business} in {city}. I'm calling about your stay from {day}.
    | Hello {caller}, it's {agent} at {business}. You're coming to us on {day}, for {nights} nights, and
      I have one question.
    C: Yes, please go on. | Right, the {room}. Is it still ours?
    A: The {room} is yours. Around what time shall we expect you?
    | All is ready for you. When will you be here, roughly?

    ?
    C: We are now three instead of two. Is that a problem?
    A: Not at all. I'll have an extra bed put in; that is {fee} a night.

    C: After {time}, I think. We're driving up.
    | About {time}. And a ground-floor room would be kind, my mother doesn't like stairs.
    A: Noted. And may we take the deposit of {amount} from the card you gave us?
    | Perfect, I've written that down. The deposit is {amount}; you can pay it on arrival.
    C: Yes, go ahead. | {fine} See you on {day}.
    A: See you on {day}, {caller}. Safe travels. | Thank you. We look forward to having you.
    """,
)
