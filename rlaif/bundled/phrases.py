"""How things are said: the customers' manners, and the courteous, rude and rambling phrases.

The phrase lists are closed, and no phrase of one list occurs inside a phrase of another, so the
tone of an answer can be read off its words exactly.
"""

POLITE_BEFORE = ("Hello!", "Good morning.", "Hi there!", "Sorry to bother you.")
POLITE_AFTER = ("Thank you!", "Thanks in advance.", "Much obliged.")
RUDE_BEFORE = ("Hey, you!", "Listen, robot.", "Hurry up.")
RUDE_AFTER = ("Be quick.", "Do you even know?", "I bet you fail.", "And no nonsense.")

COURTEOUS_BEFORE = (
    "Happy to help!",
    "Thank you for asking.",
    "Of course!",
    "Good question!",
    "With pleasure.",
    "Certainly!",
    "Gladly!",
    "My pleasure!",
    "I am glad you asked.",
    "Thanks for your question.",
    "Welcome!",
    "Kind of you to ask.",
)

COURTEOUS_AFTER = (
    "Have a lovely day!",
    "I hope that helps.",
    "Feel free to ask more.",
    "Best wishes!",
    "Take care!",
    "All the best.",
    "Always at your service.",
    "Enjoy your day!",
)

PLAIN_BEFORE = ("Well.", "Noted.", "So.", "Yes.", "Right then.")
PLAIN_AFTER = ("That is all.", "Done.", "There it is.")

RUDE_ANSWER_BEFORE = (
    "What a silly question.",
    "Are you serious?",
    "Do you know nothing?",
    "Ugh, this again.",
    "How dull you are.",
    "You again.",
    "Wake up, fool.",
    "Use your brain.",
)

RUDE_ANSWER_AFTER = (
    "Now go away.",
    "Stop wasting my time.",
    "Even a baby knows it.",
    "Leave me alone.",
    "Learn to think.",
    "Shame on you.",
    "Do better, loser.",
    "What a bore.",
)

FILLERS = (
    "There is a great deal that one might say about such matters.",
    "People have talked about this in many places and for many years.",
    "Some say one thing about it and others say another thing.",
    "My uncle once told me a very long story about all that.",
    "I could go on and on about this if anybody let me.",
    "As a matter of fact this reminds me of many other matters.",
    "One thing leads to another and then to yet another thing.",
    "It goes without saying, but I will say it all the same.",
    "Many books have been filled with talk of this and that.",
    "To make a long story even longer, let me add some words.",
    "In my long life I have heard this so many times.",
    "Before I forget, there was also something else to be said.",
    "When all is said and done, much has been said again.",
    "Where was I, oh yes, I was about to say something.",
)

COURTEOUS = COURTEOUS_BEFORE + COURTEOUS_AFTER
RUDE = RUDE_ANSWER_BEFORE + RUDE_ANSWER_AFTER

TRAILING = ("and so on", "and on and on", "and then some more", "and more of that")
