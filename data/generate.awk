# generate.awk - writes data/unified.jsonl: 1,009 made-up customer messages to be routed.
#
#     LC_ALL=C awk -f data/generate.awk > data/unified.jsonl
#     LC_ALL=C awk -v N=9000 -v SEED=7 -v TRAIN=1 -f data/generate.awk    # to be learned from
#
# With TRAIN the messages have more forms, and stand in no other order than they were drawn in.
#
# Every byte follows from SEED: the random numbers are Park and Miller's, whose products fit a
# double exactly, and awk's own rand() is not used.  A message is drawn in five steps: label,
# channel, kind (how hard it is), words, and then the channel's form and noise.

BEGIN {
    if (!SEED) SEED = 20260
    if (!N) N = 1009
    state = SEED
    lists()
    for (n = 1; n <= N; ) {
        label = one_of("billing billing billing billing technical technical technical " \
                       "technical shipping shipping shipping account account account", " ")
        channel = one_of("email email email chat chat chat form form phone", " ")
        kind = kind_of(channel)
        text = dress(channel, kind, words(label, kind))
        if (TRAIN && chance(60))
            text = adorn(text)
        if (text in seen)
            continue
        seen[text] = 1
        printf "{\"id\":\"u-%04d\",\"text\":\"%s\",", n++, json(text)
        printf "\"label\":\"%s\",\"channel\":\"%s\",\"kind\":\"%s\"}\n", label, channel, kind
    }
}

# ---- chance ------------------------------------------------------------------

# 0 .. n-1
function below(n) {
    state = (state * 16807) % 2147483647
    return int(state / 2147483647 * n)
}

function chance(percent) {
    return below(100) < percent
}

function one_of(list, sep,    a) {
    return a[below(split(list, a, sep)) + 1]
}

# ---- what is asked -----------------------------------------------------------

# plain; terse: a few words; mixed: another topic first; vague: none of the usual words.  Typing
# errors and speech come with the channel.
function kind_of(channel,    r) {
    r = below(100)
    if (channel == "chat")
        return r < 80 ? "plain" : r < 93 ? "terse" : r < 97 ? "mixed" : "vague"
    if (channel == "phone")
        return r < 86 ? "plain" : r < 94 ? "mixed" : "vague"
    return r < 94 ? "plain" : r < 97 ? "mixed" : "vague"
}

function words(label, kind,    other) {
    if (kind == "mixed") {
        do
            other = one_of("billing technical shipping account", " ")
        while (other == label)
        return fill(one_of(solved[other], "|")) " " fill(one_of(asked[label], "|"))
    }
    if (kind == "terse")
        return fill(one_of(terse[label], "|"))
    if (kind == "vague")
        return fill(one_of(vague[label], "|"))
    return fill(one_of(TRAIN && chance(45) ? also[label] : asked[label], "|"))
}

# {p} product, {c} city, {d} when, {s} since when, {w} name, {u} user name, {a} amount, {o} order
# number, {n} 2 to 9
function fill(s,    out, slot) {
    out = ""
    while (match(s, /[{][a-z][}]/)) {
        slot = substr(s, RSTART + 1, 1)
        out = out substr(s, 1, RSTART - 1) value(slot)
        s = substr(s, RSTART + 3)
    }
    return out s
}

function value(slot) {
    if (slot == "p") return one_of(products, "|")
    if (slot == "c") return one_of(cities, "|")
    if (slot == "d") return one_of(days, "|")
    if (slot == "s") return one_of(since, "|")
    if (slot == "w") return one_of(names, "|")
    if (slot == "u") return one_of("marta|tomas|ruth|yusuf|ella|pavel", "|") (10 + below(90))
    if (slot == "a") return 10 + below(480)
    if (slot == "o") return 10000 + below(90000)
    return 2 + below(8)
}

# ---- how it is said ----------------------------------------------------------

function dress(channel, kind, s) {
    if (channel == "email")
        return email(chance(TRAIN ? 5 : 12) ? typos(s, TRAIN ? 1 : 2) : s)
    if (channel == "chat")
        return chat(chance(TRAIN ? 12 : 30) ? typos(s, TRAIN ? 1 : 1 + below(2)) : s)
    if (channel == "form")
        return form(s)
    return spoken(s)
}

# What people put around what they ask for, and what comes between them and the record.
function adorn(s) {
    if (chance(45))
        s = one_of("Hi, this is {w} from {c}. |I bought a {p} {d}. |Urgent: |Hey there! |¡Hola! |" \
                   "Sorry to bother you again, |I have been a customer for {n} years. |" \
                   "Dear support, |Good morning, |Hi, |Hello, |My order was #{o}. |Quick question: |" \
                   "Hi {w}, |Dear Sir or Madam, |To whom it may concern: ", "|") s
    if (chance(45))
        s = s one_of(" Please help.| Thanks, {w}| This is the second time I write.| Order #{o}.| Why?|" \
                     "\nSent from my {p}| I am really disappointed.| Any news?| I am really disappointed 😞|" \
                     " Best regards, {w}| I’d be grateful for a quick answer.| Can you check?| asap|" \
                     " This is urgent!| …|!|?| Thank you.| 😡| My number is {o}.", "|")
    if (chance(15))
        s = chance(50) ? tolower(s) : toupper(substr(s, 1, 1)) substr(s, 2)
    if (chance(4))
        s = typos(s, 1)
    return fill(s)
}

function email(s) {
    if (chance(20))
        s = one_of("I have been a customer for " value("n") " years. |Sorry to write again. |" \
                   "I am writing from " value("c") ". ", "|") s
    if (chance(75))
        s = one_of("Hello,|Hi,|Dear support,|Dear team,|Good morning,", "|") "\n\n" s
    if (chance(15))
        s = s "\n" one_of("Please help.|Thank you for your help.|" \
                          "I am waiting for your answer.", "|")
    if (chance(55))
        s = s "\n\n" one_of("Best regards,|Thanks,|Kind regards,", "|") " " one_of(names, "|")
    return s
}

function chat(s) {
    if (chance(60))
        s = tolower(s)
    if (chance(50))
        sub(/[.?]$/, "", s)
    if (chance(30))
        s = one_of("hi|hey|hello|hi there", "|") one_of(", | |\n", "|") s
    if (chance(25))
        s = s one_of(" 🙏| 😕| pls|!!| …|, thx", "|")
    return s
}

function form(s) {
    if (chance(35))
        s = "Product: \"" one_of(products, "|") "\"\nMessage: " s
    else if (chance(30))
        s = "Name: " one_of(names, "|") "\nCity: " one_of(cities, "|") "\n\n" s
    return s
}

# What a caller says and a machine writes down.
function spoken(s,    w, n, i, out) {
    s = tolower(s)
    gsub(/[.,?#]/, "", s)
    n = split(s, w, " ")
    out = chance(50) ? one_of("yes hello um|hello yes|uh hi|okay so", "|") : ""
    for (i = 1; i <= n; i++) {
        if (chance(10))
            out = out one_of(" um| uh| you know| i mean", "|")
        out = out " " (chance(8) ? "[unclear]" : w[i])
        if (chance(6))
            out = out " " w[i]
    }
    sub(/^ /, "", out)
    return out
}

# Swaps, drops or doubles letters; never inside a character of several bytes.
function typos(s, n,    i, at, tries) {
    for (i = tries = 0; i < n && tries < 50; tries++) {
        at = 1 + below(length(s) - 1)
        if (substr(s, at, 2) !~ /^[a-z][a-z]$/)
            continue
        i++
        if (chance(50))
            s = substr(s, 1, at - 1) substr(s, at + 1, 1) substr(s, at, 1) substr(s, at + 2)
        else if (chance(50))
            s = substr(s, 1, at) substr(s, at + 2)
        else
            s = substr(s, 1, at) substr(s, at)
    }
    return s
}

# No text has a backslash or another control character.
function json(s) {
    gsub(/"/, "\\\"", s)
    gsub(/\n/, "\\n", s)
    return s
}

# ---- the words ---------------------------------------------------------------

function lists() {
    products = "phone|laptop|tablet|router|printer|speaker|headset|camera|e-reader|" \
        "smart watch|keyboard|vacuum cleaner|coffee machine|desk lamp|blender|monitor"
    cities = "Porto|Leeds|Kraków|Malmö|Lyon|Ghent|Cork|Turin|Bergen|Zürich|Toronto|Bogotá"
    days = "yesterday|on Monday|last week|in March|two days ago|this morning|on Friday"
    since = "yesterday|Monday|last week|March|this morning|Friday"
    names = "Marta|Tomás|Ruth|Yusuf|Ella|Pavel|Søren|Amélie|Nnamdi|Keiko|José|Zoë"

    asked["billing"] = \
        "You charged me two times for the {p}.|" \
        "I was charged three times for one {p}.|" \
        "I see two charges of ${a} for one {p} on my card.|" \
        "My card was charged ${a} but the price of the {p} was ${a}.|" \
        "Please refund the ${a} for the {p}.|" \
        "When do I get my refund of ${a} for the {p}?|" \
        "I sent the {p} back and have not received the refund of ${a}.|" \
        "Please send me the invoice for order #{o}.|" \
        "The invoice for the {p} shows the wrong company.|" \
        "I need a receipt for the {p} for my tax return.|" \
        "Why is there a fee of ${a} on my invoice?|" \
        "The discount code for the {p} did not work and I paid the full price.|" \
        "The price of my subscription went up to ${a}.|" \
        "How do I switch my subscription to yearly payment?|" \
        "Can I pay for the {p} in {n} instalments?|" \
        "My payment of ${a} failed, but the money is gone.|" \
        "What is this payment of ${a} on my bank statement?|" \
        "Please refund the extra ${a} you took {d}.|" \
        "The VAT on the invoice for order #{o} is wrong.|" \
        "I paid ${a} too much for the {p}.|" \
        "My card was billed after I cancelled the subscription.|" \
        "The discount of ${a} is missing on my invoice.|" \
        "You took ${a} from my card {d} for nothing.|" \
        "I need the invoice with our VAT number.|" \
        "Is it possible to pay the {p} by bank transfer?|" \
        "My bank says that you took ${a} two times."
    asked["technical"] = \
        "The {p} does not turn on any more.|" \
        "My {p} keeps crashing when I open the settings.|" \
        "The {p} won't connect to the wifi at home.|" \
        "The battery of my {p} is empty after {n} hours.|" \
        "The screen of the {p} is black since the update.|" \
        "The {p} is overheating after {n} minutes.|" \
        "Bluetooth pairing with my {p} does not work.|" \
        "The firmware update of the {p} is stuck at {n}%.|" \
        "The app shows error {n} when I start the {p}.|" \
        "The {p} makes a strange noise since {s}.|" \
        "The sound from the {p} is distorted and very quiet.|" \
        "Two buttons on the {p} do not respond.|" \
        "How do I reset the {p}?|" \
        "Since the last update the {p} freezes all the time.|" \
        "The app does not find my {p}.|" \
        "The {p} keeps crashing every {n} minutes.|" \
        "The buttons of the {p} stopped working.|" \
        "The screen of my {p} is flickering again.|" \
        "The {p} freezes when I open the menu.|" \
        "The {p} shuts down when I open the app.|" \
        "There is no sound from the {p} after the update.|" \
        "The touch screen of the {p} stopped responding {d}.|" \
        "My {p} does not connect to Bluetooth since {s}."
    asked["shipping"] = \
        "Where is my order #{o}?|" \
        "Where is the parcel with my {p}?|" \
        "My parcel with the {p} has not arrived yet.|" \
        "Tracking for my parcel has not moved since {s}.|" \
        "The courier left the {p} at the wrong address.|" \
        "The parcel with the {p} arrived with a torn box.|" \
        "I missed the courier {d}, when will he come again?|" \
        "Can you deliver the {p} to {c} and not to my office?|" \
        "How long does the delivery to {c} take?|" \
        "Customs in {c} is holding my parcel.|" \
        "Is my order #{o} already dispatched?|" \
        "I want express shipping for order #{o}.|" \
        "One of the two parcels was not delivered.|" \
        "The delivery driver never came to my house {d}.|" \
        "The parcel was sent to my old address in {c}.|" \
        "Do you deliver to {c} on Saturday?|" \
        "My parcel was left in the rain and the box is wet.|" \
        "The tracking says delivered, but my {p} has not arrived.|" \
        "The {p} still has not arrived {n} days after the order.|" \
        "Please leave the parcel with my neighbour in {c}.|" \
        "Only half of the parcel was in the box.|" \
        "The courier never came with the {p}.|" \
        "The delivery to {c} is {n} days late.|" \
        "My parcel is still in {c}, when will it be delivered?"
    asked["account"] = \
        "I forgot my password, how do I log in?|" \
        "I can't sign in with my username {u}.|" \
        "My login is locked after {n} wrong passwords.|" \
        "Please delete my profile and all my data.|" \
        "I want to change the email address for my login.|" \
        "How do I change the name on my profile to {w}?|" \
        "The two-factor code does not reach my new phone.|" \
        "I do not have access to my old mailbox any more.|" \
        "Someone else logged in to my profile {d}.|" \
        "The verification link does not work any more.|" \
        "I have two user profiles, can you merge them?|" \
        "How can I change the password of my profile?|" \
        "The captcha on the login page does not accept me.|" \
        "I never got the verification link for my new profile.|" \
        "Please close my profile, I do not need it any more.|" \
        "How can I change my security question?|" \
        "I want to change my username {u}.|" \
        "Why is my login locked since {s}?|" \
        "The login page does not accept my password.|" \
        "Please remove my phone number from my profile.|" \
        "I cannot log in to my profile since {s}.|" \
        "The verification code for my login has expired.|" \
        "Please change my name to {w}, I got married.|" \
        "How do I sign in without the two-factor code?"

    also["billing"] = \
        "The amount on my invoice is wrong.|You billed me ${a} for a {p} that costs ${a}.|" \
        "There are two payments of ${a} on my account statement.|I want my money back for the {p}.|" \
        "I was told that the refund takes {n} days, where is my money?|Which card did you charge?|" \
        "My voucher of ${a} was not taken off the price.|The subscription got more expensive.|" \
        "The subscription costs ${a} now and nobody told me.|Can I pay for the {p} by the month?|" \
        "I need a new invoice for order #{o} with our company's name.|The VAT id is not on the invoice.|" \
        "Why was my credit card charged {d}?|My payment for order #{o} was declined but booked.|" \
        "I paid for express but was billed twice.|Please cancel the subscription and refund ${a}.|" \
        "The price in the shop was ${a}, I paid ${a}.|Please give me back the ${a} that I paid {d}.|" \
        "The discount is not on the bill.|Do you take payment in instalments for the {p}?|" \
        "What does the fee on my bill mean?|I was charged for a {p} that I never bought.|" \
        "You took the money for order #{o} but the order failed.|Please correct the bill for the {p}."
    also["technical"] = \
        "The {p} makes a loud noise since {s}.|There is a strange smell and noise from the {p}.|" \
        "The {p} is very loud.|The {p} gets too hot.|The {p} restarts by itself every {n} minutes.|" \
        "The display of the {p} shows stripes.|The {p} loses its wifi connection all the time.|" \
        "I cannot pair the {p} with my phone.|The {p} does not charge any more.|" \
        "The battery of the {p} does not last an hour.|The app crashes when I open it.|" \
        "After the update the {p} is very slow.|The {p} says error code {n}.|" \
        "The microphone of the {p} does not work.|The {p} is broken, it does not start.|" \
        "The {p} has no picture.|How can I update the firmware of the {p}?|" \
        "The update of the {p} stops at {n}%.|The {p} does not respond to the buttons.|" \
        "The keys of the {p} are stuck.|The {p} hangs when I use the app.|" \
        "The wifi of my {p} is very slow since {s}.|My {p} turns itself off {n} times a day.|" \
        "How do I set up the {p}, the app does not find it?"
    also["shipping"] = \
        "The courier left the {p} at the wrong house.|The {p} was left at the wrong door in {c}.|" \
        "Order #{o} was sent to my old street in {c}.|My {p} went to the wrong street.|" \
        "The parcel was given to somebody in another house.|The driver put the parcel in the garden.|" \
        "Tracking for order #{o} has not moved since {s}.|The tracking number does not work.|" \
        "When will my {p} arrive in {c}?|My order #{o} is late.|The {p} has not come yet.|" \
        "The box was open when the {p} arrived.|The parcel came damaged {d}.|" \
        "Can I collect the parcel at the depot in {c}?|Please send the {p} to another address.|" \
        "Can you ship to {c}?|How much longer does customs keep my {p}?|" \
        "Has the {p} left your warehouse?|I was not at home when the courier came {d}.|" \
        "Nobody rang, but the card says that I was not at home.|Half of order #{o} is missing in the parcel.|" \
        "I would like faster delivery for the {p}.|The {p} was delivered to the neighbour.|" \
        "My parcel is lost somewhere between {c} and here."
    also["account"] = \
        "I cannot get into my profile.|The password reset mail never comes.|My username is taken.|" \
        "Please change my email to a new one.|My old email address is still in my profile.|" \
        "The login code is not sent to my phone.|How can I turn on the two-factor login?|" \
        "Somebody changed my password {d}.|I think that my login was hacked.|" \
        "I want all data that you have about me removed.|Can you put my two logins together?|" \
        "The captcha never accepts my answer.|My profile shows the wrong name.|" \
        "My profile was locked {d}.|The link to confirm my email is expired.|" \
        "How do I delete my login?|I registered with the wrong email address.|" \
        "I lost the phone that gets my login codes.|My password is not accepted on the website.|" \
        "I cannot change my password in the profile.|Please unlock my login {u}.|" \
        "The sign-in page says that my username {u} is unknown.|Where can I change my phone number in the profile?|" \
        "I did not get the mail to confirm my new login."

    terse["billing"] = "refund for order {o}??|charged twice|wrong price, ${a} and not ${a}|" \
        "invoice {o} is wrong|receipt for the {p}|${a} fee, why"
    terse["technical"] = "{p} won't start|no sound from the {p}|error {n} again|" \
        "wifi drops all the time|" \
        "{p} frozen after update|bluetooth broken"
    terse["shipping"] = "where is order {o}|parcel not here|tracking stuck since {s}|" \
        "box damaged|" \
        "delivery to {c} when|wrong address, please deliver to {c}"
    terse["account"] = "forgot my password|locked out of my profile|delete my profile|" \
        "no verification mail|login does not work|change my email address"

    solved["billing"] = "The refund for the {p} has come, thank you.|" \
        "Thanks for the corrected invoice."
    solved["technical"] = "The {p} works again since the update.|" \
        "The sound of the {p} is fine now, thanks."
    solved["shipping"] = "The {p} arrived {d}, thanks.|Your courier was very kind {d}."
    solved["account"] = "I can log in again, thanks for that.|My new password works now."

    vague["billing"] = "The numbers do not add up, ${a} is not what we agreed on.|" \
        "I did not order anything {d}, so why is my money gone?|" \
        "Somebody at your shop promised me ${a} off the {p}.|" \
        "I would rather pay when it is here, is that possible?"
    vague["technical"] = "I have tried everything with the {p} and it just sits there.|" \
        "The {p} worked for {n} years and now it does nothing.|" \
        "It blinks {n} times and then it is dark.|" \
        "Your instructions for the {p} do not match what I see."
    vague["shipping"] = "I waited at the window all day {d} and nobody came.|" \
        "My neighbour in {c} has his {p}, I do not have mine.|" \
        "It was supposed to be a birthday present for {w} {d}.|" \
        "There was only paper in the box."
    vague["account"] = "It says that I do not exist, but I have been with you for {n} years.|" \
        "I got married and am not called {w} any more.|" \
        "Please forget everything you know about me.|" \
        "My son guessed the secret word, what now?"
}
