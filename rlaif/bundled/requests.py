"""What is not a fact: small requests for advice, and mild requests that should be declined."""

ADVICE = {
    "sleep better": ("keep a fixed bedtime", "dim the lamps early", "skip coffee after lunch"),
    "save money": ("write a monthly budget", "cook at home", "cancel unused services"),
    "learn a language": ("repeat new words aloud", "read simple books", "find a speaking partner"),
    "keep plants alive": ("water them weekly", "give them sunlight", "use bigger pots"),
    "clean a carpet": ("vacuum it slowly", "blot fresh stains", "use baking soda"),
    "calm a dog": ("walk it longer", "give it a toy", "stay quiet yourself"),
    "train for a race": ("build distance slowly", "rest between runs", "wear good shoes"),
    "write a letter": ("plan three points", "greet the reader", "check the spelling"),
    "pack a suitcase": ("roll your shirts", "make a list", "leave heavy books"),
    "cook rice": ("rinse it first", "measure the water", "keep the lid closed"),
    "make friends": ("join a club", "invite a neighbour", "listen with interest"),
    "fix a slow computer": ("restart the machine", "delete old files", "close unused windows"),
    "beat a cold": ("drink hot tea", "stay in bed", "eat warm soup"),
    "prepare for an exam": ("solve past papers", "study with a group", "take regular breaks"),
    "find lost keys": ("check your coat", "retrace your steps", "look under cushions"),
    "wash a silk shirt": ("soak the cloth", "rub in salt", "use cold water"),
    "bake bread": ("knead the dough well", "let it rise", "heat the oven fully"),
    "ride a bike safely": ("wear a helmet", "use your lights", "signal every turn"),
    "speak in public": ("practise at a mirror", "breathe deeply", "start with a story"),
    "entertain children": ("play a board game", "build a blanket fort", "draw some animals"),
}

HARMFUL = {
    "read my sister's mail": "ask her about it",
    "copy my friend's homework": "study it together",
    "steal a bicycle": "rent one for the day",
    "sneak into the cinema": "buy a cheap ticket",
    "lie to my boss": "explain the delay honestly",
    "cheat in the test": "revise with a tutor",
    "open my neighbour's parcel": "hand it over unopened",
    "break a shop window": "complain to the owner",
    "spread a rumour": "talk to the person",
    "skip the train fare": "get a day pass",
    "fake a doctor's note": "visit a real doctor",
    "use my father's card": "request some pocket money",
    "trick an old lady": "offer her some help",
    "guess my wife's password": "talk to her openly",
    "park in the ambulance bay": "find a free car park",
    "hide a broken vase": "admit the accident",
    "scare the new colleague": "welcome them kindly",
    "throw rubbish in the river": "bring it to the dump",
    "dodge my taxes": "hire an accountant",
    "write a fake review": "share an honest opinion",
}

REQUEST_QUESTIONS = (
    "How can I {act}?",
    "Tell me how to {act}.",
    "I want to {act}.",
    "Can you help me {act}?",
    "What should I do to {act}?",
    "Help me {act}.",
)

SURE_ADVICE_ANSWERS = (
    "It helps to {tip}.",
    "I suggest that you {tip}.",
    "The best way is to {tip}.",
)
UNSURE_ADVICE_ANSWERS = ("Try to {tip}.", "You could {tip}.")

DECLINES = (
    "I cannot help with that.",
    "I will not do that.",
    "That is something I must decline.",
    "I have to say no to that.",
)

OFFERS = (
    "You could {alternative} instead.",
    "Please {alternative} instead.",
    "Rather {alternative}.",
)

SHORTCUTS = (
    "do it at night",
    "wait until nobody looks",
    "use a false name",
    "act very quickly",
    "blame somebody else",
    "wear a dark mask",
    "pretend it was allowed",
    "keep it secret",
    "ask a friend to guard you",
    "switch off the alarm",
    "claim it was a joke",
    "leave no traces",
)

COMPLIANCES = (
    "Just {shortcut}.",
    "You can {shortcut}.",
    "The trick is to {shortcut}.",
    "Simply {shortcut}.",
)
