"""Sentences of everyday talk with a robot or a person, from templates that this project wrote.

A template has slots in braces. A hash of their text keeps a fifth of the templates and slot words
from "train"; "valid" and "test" take turns with these, so that each of the three speaks sentences
and content words that the other two never do.
"""

from __future__ import annotations

import re
import zlib
from functools import cache

import numpy as np

SLOTS: dict[str, tuple[str, ...]] = {
    "name": ("Ada", "Ben", "Maria", "Tom", "Priya", "Oscar", "Lucy", "Felix", "Emma", "Hugo",
             "Nina", "Paul", "Grace", "Victor", "Amy", "Ivan", "Sophie", "Max", "Bella", "Frank",
             "Molly", "Peter", "Vivian", "Walter", "Joe", "Ruth", "Omar", "Mei", "Carlos",
             "Fiona"),
    "place": ("the kitchen", "the lobby", "the garden", "the library", "the workshop", "the park",
              "the second floor", "the museum", "the office", "the airport", "the market",
              "the harbour", "the station", "the pharmacy", "the bakery", "the front door",
              "the meeting room", "the basement", "the balcony", "the laboratory"),
    "thing": ("a cup of coffee", "the blue box", "a paper map", "your umbrella", "the big parcel",
              "a bowl of fruit", "the remote control", "my old camera", "a pair of gloves",
              "the package", "a bottle of water", "your phone", "the key to the cupboard",
              "a warm blanket", "the football", "a piece of apple pie", "the purple folder",
              "a box of paper clips", "your reading glasses", "the vacuum cleaner"),
    "food": ("pepperoni pizza", "tomato soup", "fresh bread", "mushroom risotto", "apple pie",
             "fried rice", "pancakes", "a cheese sandwich", "vegetable curry", "chocolate cake",
             "potato salad", "grilled fish", "peach ice cream", "a bowl of porridge", "beef stew"),
    "adj": ("wonderful", "terrible", "funny", "beautiful", "quiet", "amazing", "boring", "awful",
            "perfect", "strange", "lovely", "exciting", "impossible", "helpful", "warm", "brave",
            "useful", "peaceful", "awkward", "fabulous", "simple", "important", "comfortable"),
    "verb": ("find", "move", "bring", "carry", "open", "repair", "clean", "watch", "borrow",
             "improve", "measure", "photograph", "wrap", "remember", "follow", "pick up", "paint"),
    "activity": ("playing the piano", "walking by the river", "reading old books", "swimming",
                 "baking bread", "watching movies", "fixing bicycles", "learning Japanese",
                 "hiking in the mountains", "building small robots", "dancing", "growing tomatoes",
                 "painting birds", "climbing", "playing volleyball", "mending old clocks",
                 "visiting museums", "making jam", "telling bad jokes",
                 "singing in a choir", "taking photographs", "playing chess with my father"),
    "time": ("this morning", "tomorrow", "on Friday", "last week", "at half past four", "tonight",
             "in about ten minutes", "next summer", "on my birthday", "before breakfast",
             "every evening", "at the weekend", "a moment ago", "at five o'clock", "in February"),
    "weather": ("sunny", "rainy", "foggy", "windy", "freezing", "cloudy", "mild",
                "perfectly clear", "rather chilly", "muggy", "unbelievably hot",
                "a bit humid", "snowing", "stormy", "hazy", "overcast", "wonderfully mild"),
    "person": ("my brother", "the doctor", "your friend", "my neighbour", "the manager",
               "our teacher", "my grandmother", "the engineer", "a nice woman", "the bus driver",
               "my boss", "the whole family", "everybody", "one of my colleagues"),
    "number": ("two", "three", "five", "seven", "eleven", "fifteen", "twenty four", "thirty six",
               "fifty", "ninety nine", "a hundred", "two hundred and twelve", "one thousand",
               "forty two", "eighty"),
    "feeling": ("happy", "tired", "excited", "nervous", "proud", "worried", "surprised", "calm",
                "hopeful", "confused", "pleased", "a little lonely", "fantastic", "much better"),
    "body": ("arm", "camera", "gripper", "battery", "left wheel", "microphone", "front sensor",
             "map", "speaker", "charging plug", "software", "display"),
}  # fmt: skip

STATEMENTS: tuple[str, ...] = (
    "I really like {activity}, it makes me {feeling}.",
    "My favourite meal is {food}, but {food} is fine as well.",
    "{name} told me that the trip to {place} was {adj}.",
    "I put {thing} on the table in {place} {time}.",
    "We moved {number} boxes from {place} to {place}.",
    "It was {weather} {time}, so we stayed at home and made {food}.",
    "Maybe we should ask {person} about it.",
    "Please come with me to {place}, I will show you everything.",
    "The elevator is on the left, just past {place}.",
    "I am sorry, my {body} needs a short break.",
    "My {body} works perfectly, thank you for asking.",
    "I have been {activity} for {number} years.",
    "That sounds {adj}, tell me more about it!",
    "I feel {feeling} today, probably because it is {weather}.",
    "{person} bought {thing} for {number} pounds.",
    "You can find {thing} behind {place}.",
    "The bus leaves in {number} minutes from {place}.",
    "Honestly, I think {activity} is {adj}.",
    "I would love to {verb} {thing} for you.",
    "Don't worry, {name} will {verb} it {time}.",
    "We spent the whole afternoon {activity}, and then we had {food}.",
    "Room {number} is upstairs, the third door on the right.",
    "There are {number} people waiting in {place}.",
    "Yes, I can {verb} {thing}, but I have to be careful.",
    "No, I have never tried {activity} before.",
    "First we {verb} {thing}, then we go to {place}.",
    "I saw {name} and {person} in {place} {time}.",
    "To be honest, the {food} was {adj}, but the company was {adj}.",
    "Good morning, my name is {name}, and I am pleased to meet you.",
    "Welcome back, {name}, it is good to see you again!",
    "I am afraid {place} is closed {time}.",
    "It takes about {number} minutes to walk to {place}.",
    "What a {adj} idea, we could do that {time}!",
    "My mother used to make {food} {time}.",
    "Be careful with {thing}, it is heavier than you think.",
    "Oh wow, that is {adj}!",
    "Well, I suppose you are right about {person}.",
    "The problem was the {body}, so we had to {verb} it.",
    "Somebody left {thing} near {place}, and nobody knows why.",
    "I promise to bring {thing} back {time}.",
    "Both {name} and {name} love {activity}.",
    "Happy birthday, {name}, I hope you feel {feeling}!",
    "If it is {weather} {time}, we can go {activity}.",
    "I remember {person} very well, such a {adj} story.",
    "Everything is ready, we only need {thing}.",
    "The map shows {number} rooms between {place} and {place}.",
    "I was {feeling} at first, and then it became {adj}.",
    "Give me a moment, I have to {verb} my {body}.",
    "Thank you so much, {name}, that was very {adj} of you.",
    "I can hear you, but I cannot see you very well.",
    "Let me think about it for a moment.",
    "The shop opens at nine and closes at {number} minutes past five.",
    "{person} always makes {food} when it is {weather}.",
    "You should visit {place}, people say it is {adj}.",
    "I heard a loud noise in {place}, so I went to look.",
    "We have {number} chairs, but only {number} guests.",
    "Our {body} was repaired {time}, now it moves smoothly again.",
    "Yesterday I found {thing} under the bed in the blue room.",
    "My father and my uncle both loved {activity}.",
    "It was a {adj} evening, with music, {food} and good friends.",
    "Follow the yellow line on the floor, and stop before the bridge.",
    "I'm not sure whether {name} prefers {food} or {food}.",
    "She smiled at me, and I forgot what I wanted to say.",
    "He was far too {feeling} to argue with {person}.",
    "Perhaps the most {adj} thing was the view from above.",
    "Put {thing} back into the cupboard, please, before you leave.",
    "Every child should learn how to {verb} a ball and share a toy.",
    "A huge orange ship appeared beyond the measure of the beach.",
    "Five brown foxes jumped over the lazy farmer's thick brown hedge.",
    "Joyful voices echoed through the smooth marble hallway.",
    "My boy enjoys choosing new shoes, but he never ties them properly.",
    "Could be that {person} forgot about it, it happens to all of us.",
    "I must remember to buy milk, butter and a bunch of plums before the shop closes.",
    "A small brown puppy jumped up and grabbed {thing}.",
    "Bob and {name} brought {food} to the party {time}.",
    "Someone painted the old gate in {place} purple.",
    "Thanks, I feel {feeling} now that I have seen {person}.",
    "The report says that {place} needs a new roof.",
)
QUESTIONS: tuple[str, ...] = (
    "How are you feeling {time}?",
    "Do you like {activity}?",
    "Would you like {food} or {food}?",
    "Can you {verb} {thing} for me?",
    "Have you met {person}?",
    "What do you think about {activity}?",
    "Where did you put {thing}?",
    "Could you show me the way to {place}?",
    "Is it far to {place}?",
    "What was the most {adj} part of your day?",
    "Shall we go to {place} {time}?",
    "Why were you so {feeling} {time}?",
    "Did {name} really {verb} {thing}?",
    "How many people work in {place}, maybe {number}?",
    "May I {verb} {thing}?",
    "Are you {feeling}?",
    "Who is going to {verb} my {body}?",
    "Has {person} ever been to {place}?",
    "Isn't that {adj}?",
    "What would you do with {number} pounds?",
    "Can I help you with anything else?",
    "Do you remember the {adj} story about {person}?",
    "Which way is {place}, left or right?",
    "When will {name} come back, {time}?",
    "Should I call {person} or {verb} {thing} myself?",
    "Was it {weather} when you were {activity}?",
    "Why does my {body} make that {adj} sound?",
    "You were {activity} {time}, weren't you?",
    "Could we stop for a moment and have {food}?",
    "Would you mind repeating that, please?",
    "Might it be better to begin with {food}?",
    "Why is everybody {activity} today?",
)
# hums are written in the synthesiser's phonemes, or it would spell their letters
BACKCHANNELS: tuple[str, ...] = (
    "[[,mm'hmm]].",
    "[[m@h'@m]].",
    "[[m'm-]].",
    "[[h@m:]].",
    "yeah.",
    "right.",
    "okay.",
    "uh huh.",
    "oh.",
    "I see.",
    "yes.",
    "sure.",
    "oh really?",
    "wow.",
    "exactly.",
    "of course.",
    "no way!",
    "ah.",
    "oh yes.",
    "really?",
    "that's true.",
    "good.",
    "oh no!",
    "nice.",
    "yeah, yeah.",
)

_SLOT = re.compile(r"\{(\w+)\}")


@cache
def choices(kind: str, split: str) -> tuple[str, ...]:
    """The sentences or slot words of `kind` that `split` may use."""
    pools = {"statement": STATEMENTS, "question": QUESTIONS, **SLOTS}
    held_out = [text for text in pools[kind] if zlib.crc32(text.encode()) % 5 == 0]
    if split == "train":
        return tuple(text for text in pools[kind] if text not in held_out)
    return tuple(held_out[split == "test" :: 2])


def sentence(rng: np.random.Generator, split: str, question: bool = False) -> str:
    """One sentence of the split ("train", "valid" or "test") with its slots filled."""
    template = str(rng.choice(choices("question" if question else "statement", split)))

    def fill(match: re.Match[str]) -> str:
        return str(rng.choice(choices(match.group(1), split)))

    text = _SLOT.sub(fill, template)
    return text[0].upper() + text[1:]


def backchannel(rng: np.random.Generator) -> str:
    """A short sound of attention; these few words are common to all splits."""
    return str(rng.choice(BACKCHANNELS))
