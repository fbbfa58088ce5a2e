"""What is talked about with a clinic or a payment service, and the calls that end before they have begun."""

from __future__ import annotations

CLINIC_INBOUND = (
    """
    A: {greeting}, {business}, {agent} speaking. How may I help?
    | {business} {city}, this is {agent}, the virtual receptionist.
    C: {opening} I'd like to see {doctor}, this week if possible.
    | {opening} my daughter has had a cough for four days. Can somebody see her?
    A= Is it urgent, or can it wait until {day}? | Is there any fever, or trouble breathing?
    C= It can wait, but not too long. | A little fever at night. Breathing is fine.

    A: {doctor} has {day} at {time}, or {other_day} at {later}.
    | The first I have is {day} at {time}, with {doctor}.

    ?
    C: {day} I'm at work until late. Is there nothing in the evening?
    A: On {other_day} we are open until eight. I could give you {later}.

    C: {time} on {day}, then. | {fine} {day}. | The earlier one, please.
    A: May I have the name, and how the insurance number ends? | Under which name shall I put it?
    C= {full_name}, and it ends in {digits}. | {full_name}. With you I'm {caller}, I've been there before.

    ?
    A: Please bring your insurance card, or {amount} for the first visit.
    C: I'll bring the card. | {amount}, okay. Can I pay by phone there?

    A: It's in the book, {caller}. Please come ten minutes early.
    | Done. You'll get a reminder the evening before.
    C: {thanks}
    """,
    """
    A: {business}, {greeting_low}. {agent} here. | {greeting}, you have reached {business}. I'm {agent}.
    C: {opening} I have an appointment on {day}, and I can't make it.
    | {opening} it's {full_name}. Can we move my {day} appointment?
    A: With {doctor}, at {time}? I have it here. | Let me see… {day}, {time}, {doctor}. When would suit you?
    C: Yes. Anything next week? | That one. {other_day} would be good, after {time}.
    A: {other_day} at {later} is free. | I can offer {other_day}, {time} or {later}.
    C: {later}. {fine} | Perfect, {later} then.

    ?
    A: Has anything changed since the last visit? New medicine, anything?
    C: Only the tablets for the blood pressure. The small white ones. | No, all the same. Older, that's all.

    ?
    C: There's no charge for moving it?
    A: No, as long as you tell us a day before, it's free.

    A: Moved to {other_day}, {later}. Your old slot goes to somebody who needs it.
    | That's done, {caller}. You'll get a text.
    C: {thanks}
    """,
    """
    A: {greeting}, {business}. This is {agent}. | {business}, {agent} speaking.
    C: {opening} I did a blood test {past} and nobody has called me.
    | {opening} are my results there? The name is {full_name}.
    A: May I have the number on your slip? | I'll look. What are the last four digits on your slip?
    C: {digits}. | It's {digits}. I hope I'm reading it right, the ink is gone.
    A: They came in this morning. {doctor} has to look at them before I may say anything.
    | They are ready. I can't read them out, but {doctor} can call you at {time} {soon}.

    ?
    C: But is it good or bad? You can see it, no?
    A: I really can't, {caller}. What I can say is that nothing was marked as urgent.

    C: {fine} Then let {doctor} call me, please. | {fine} I'll keep the phone near me.
    A: You're on the list, first one after {time}. | I've booked the call for {time} on this number.
    C: {thanks}
    """,
)

CLINIC_OUTBOUND = (
    """
    C: Hello? | {caller}, hello.
    A: {greeting}, this is {agent} from {business}. I'm calling to remind you of your appointment on
      {day} at {time}.
    | Hello {caller}, {business} here, {agent} speaking. You're due with {doctor} on {day} at {time}.
    C: Ah yes, thank you, I had forgotten completely. | On {day}? I thought it was {other_day}.

    ?
    C: Do I have to come hungry?
    A: Nothing to eat from ten the night before, please. Water is fine.

    A: Will you be there? Then I confirm it. | It's {day}, {time}. Shall I keep it for you?
    C: Yes, I'll be there. | Keep it, keep it. I'll ask for the morning off.

    ?
    A: We have moved, by the way. We're on {street} now, number {number}.
    C: Near the bank? I know it. | Good that you say so. I'd have gone to the old place.

    A: Thank you, {caller}. See you on {day}. | Confirmed. Please bring the last prescription.
    C: {thanks} | Will do. Bye-bye.
    """,
)

WALLET_INBOUND = (
    """
    A: {business}, {greeting_low}. I'm {agent}. How can I help? | Welcome to {business}, {agent} speaking.
    C: {opening} I want to know my balance. The app is not opening.
    | {opening} can you tell me what's in my account?
    A: Of course. First, your full name and the last four digits of your card?
    | Gladly, once I know it's you. Name and last four digits, please.
    C: {full_name}, {digits}. | {full_name}. And {digits}.
    A: Thank you, {caller}. You have {large} available. | That matches. The balance is {large}.

    ?
    C: {large}? It should be more. My salary was coming {past}.
    A: There is a payment on the way, from {past}. It will show by {time} {soon}.

    ?
    C: And what was the last thing that went out?
    A: {fee}, {past}, to an electricity meter in {area}. | {fee} of airtime, {past}.
    C: Okay, that was me. | Ah, my brother again.

    A: Anything else I can look up? | Shall I send you a statement as well?
    C= No, that's what I needed. {thanks} | Please, by e-mail. {thanks}
    """,
    """
    A: {greeting}, {business}, this is {agent}. | {business}, you're through to {agent}.
    C: {opening} I sent {large} to the wrong number. Just now!
    | {opening} please help me, I made a mistake with a transfer. {large}, and one digit was wrong.
    A: Don't hang up, we can still act. When exactly was it?
    | I understand. What is the reference? It's in the text message.
    C= Not ten minutes ago. The reference is {digits}.
    | It ends in {digits}. It was to my landlord, and now a stranger has my rent.
    A: I see it. It has not been withdrawn, so I've put a hold on it.
    | Thank you. The money is still there, and I've frozen it.

    ?
    C: So will I get it back, or is it gone?
    A: The other side has to agree. Mostly they do, and then it takes a day.
    | If they don't object by {day}, it comes back by itself.

    ?
    A: Please don't call the number yourself. We'll write to them.
    C: I already called. They laughed and hung up. | {fine} I'll leave it to you.

    A: You'll hear from us by {time} {soon}. The case number is {case}.
    | I've opened case {case}. You'll get each step by text.
    C: {thanks} | Thank you, you've saved my week.
    """,
    """
    A: {business}, {agent} speaking. {greeting}. | {greeting}, this is {business}, my name is {agent}.
    C: {opening} my card was refused at the supermarket. In front of everybody.
    | {opening} I can't pay with my card any more. It says "blocked".
    A: I'm sorry, that's never pleasant. The last four digits, please?
    | Let's see why. Could you give me your name and the last four digits?
    C: {digits}, {full_name}. | {full_name}, {digits}.
    A: The PIN was wrong three times {past}, so the card locked itself.
    | Somebody typed the wrong PIN three times {past}, {caller}.
    | It locked itself {past}, {caller}, after a payment of {large} abroad. Was that you?
    C= Ah… I changed the PIN and then forgot the new one.
    | That was my husband. I told him it's not his birthday.
    | Yes, that was me, I bought a ticket.

    ?
    A: For safety, which of these streets have you lived in: {street}, or none of them?
    C: {street}, number {number}. For six years.

    A: Then I've opened it again. Please use the chip the first time.
    | It's open now. You can choose a new PIN at any machine in {city}.

    ?
    C: Is there a charge for that?
    A: Not for the first one. A new card would be {fee}.

    C: {fine} {thanks}
    """,
)

WALLET_OUTBOUND = (
    """
    C: Hello? | Yes, who is speaking?
    A: {greeting}, this is {agent} from {business}. Somebody is trying to pay {large} with your card. Is it you?
    | {caller}? {agent} here, {business}. I'm calling about a payment of {large} that looks unusual.
    C: {large}? No! I'm at home, the card is in my bag.
    | Wait. Where?
    | Yes, yes, that's me. I'm buying furniture.

    ?
    C: How do I know that you are really {business}?
    A: A good question. I won't ask for your PIN, and you can call us back on the number on your card.

    A: Then please answer the message I'm sending you: one for yes, two for no.
    | It's on hold until you answer the text I've just sent. One to allow it, two to stop it.
    C: I've pressed it. | Done. {fine}

    ?
    A: And have you given the card to anybody lately?
    C: Only at the petrol station in {area}, {past}. | Never. Not even to my wife.

    A: Thank you, {caller}, that's settled. We keep an eye on it. | Good, I have it. Nothing more for you to do.
    C: {thanks}
    """,
    """
    C: Hello. | Hello, {caller} here.
    A: {greeting}, {agent} from {business}. A friendly reminder: {amount} is due on {day}.
    | Hello {caller}, this is {agent} at {business}. I'm calling about the instalment of {amount} that
      was due {past}.
    C: I know, I know. The month has been long. | I thought I paid that one already.

    A: Would it help to pay it in two parts?
    | I can see {fee} that came in; the rest is still open. Shall we make a plan?
    C: Two parts would be good. Half on {day}, half at month's end.
    | Give me until {day}. My money comes in then.

    ?
    A: Will it cost you trouble if we take it automatically?
    C: No, take it automatically, then I don't forget. | I'd rather send it myself.

    A: I've noted {day}, and there's no late fee. | Agreed: {day}. You'll get a text the day before.
    C: {thanks} | {fine} {thanks}
    """,
)

# Calls of a few seconds, whoever was on the line.
BRIEF_INBOUND = (
    """
    A: {business}, {greeting_low}.
    C: Sorry, is that not {name_other}? | Hello, is this the pharmacy in {area}?
    A: No, this is {business}. | I'm afraid not, you've reached {business}.
    C: Ah, wrong number. Sorry! | Oh! Sorry, sorry.
    """,
    """
    A: {business}, {agent} speaking.
    C: Hello? … Hello? | Hello, I can't hear you.
    A: I can hear you. Go ahead, please. | Hello? The line is bad.
    C: No, it's breaking. I'll call again. | I'm losing you. Let me call back.
    """,
    """
    A: {greeting}, {business}.
    C: Hi, until what time are you open? | {opening} are you open on {day}?
    A= Until {later}. | Yes, from nine until {later}.
    C: Great, that's all. Bye. | {thanks}
    """,
)

BRIEF_OUTBOUND = (
    """
    C: Hello?
    A: Hello {caller}, {agent} from {business}. Is this a good time?
    C: I'm driving. Call me after {time}. | In a meeting. Later, please.
    A: Of course. Talk to you later. | Will do. Drive safely.
    """,
    """
    C: Yes?
    A: {greeting}, may I speak with {full_name}? | Hello, is this {caller}?
    C: You have the wrong number. | No {caller} here, my friend.
    A: My apologies, goodbye. | I'm sorry to have troubled you.
    """,
)
