"""Captions of the synthetic world: varied sentences that name every subject of an event and nothing else.

What is seen and heard comes first, in order, then what is only heard, then what is only seen. So whatever the wording, a
caption tells its subjects and their order, and two events of one caption have the same subjects.
"""

from collections.abc import Sequence
from random import Random

from .synthetic_things import SoundingThing
from .synthetic_things import Thing

OPENINGS = ("", "", "", "In this scene, ", "Here ", "As the camera rolls, ", "For a while, ")
LEADS = (
    "{one} {does}",
    "{one} {does} again and again",
    "{one} can be seen and heard {doing}",
    "{one} drifting across the picture {does}",
    "{one} {does} in plain view",
    "{one} {does} loudly",
)
PARTNERS = (
    " and {one} {does}",
    " while {one} {does} as well",
    ", and next to that {one} {does}",
    ", joined by {one} {doing}",
)
UNSEEN = (
    ", and the sound of {one} {doing} is heard off screen",
    ", with {one} {doing} somewhere out of view",
    "; {one} can be heard {doing} but not seen",
    ", while an unseen {name} {does}",
)
SCENERY = (
    " with {all} in the background",
    " near {all}",
    ", and without a sound {all} can be seen too",
    ". Silently, {all} can be seen in the same picture",
    ", in sight of {all}",
)


def caption(rng: Random, seen: Sequence[SoundingThing], unseen: Sequence[SoundingThing], scenery: Sequence[Thing]) -> str:
    """A sentence or two on what sounds and is ``seen`` (one thing, two, or the same twice), ``unseen`` or silent."""
    lead, *others = seen
    partners = [other for other in others if other != lead]
    text = rng.choice(OPENINGS) + (_of_two(rng, lead) if lead in others else _of_one(rng, LEADS, lead))
    text += "".join(_of_one(rng, PARTNERS, thing) for thing in partners)
    text += "".join(_of_one(rng, UNSEEN, thing) for thing in unseen)
    if scenery:
        text += rng.choice(SCENERY).format(all=" and ".join(f"a {thing.name}" for thing in scenery))
    return f"{text[0].upper()}{text[1:]}."


def _of_one(rng: Random, templates: Sequence[str], thing: SoundingThing) -> str:
    return rng.choice(templates).format(one=f"a {thing.name}", name=thing.name, does=thing.verb, doing=thing.doing)


def _of_two(rng: Random, thing: SoundingThing) -> str:
    return rng.choice(LEADS).format(one=f"two {thing.name}s", does=thing.verbs, doing=thing.doing)
