"""Traffic lights: what a number means for the person who will use the take."""

from __future__ import annotations

from dataclasses import dataclass

from ..plate.light import LEAST

GREEN, AMBER, RED, GREY = "green", "amber", "red", "grey"
HARDLY = 0.9  # of the ankles are out of the picture or hidden: as of the take's warning about legs (body._warn_about_legs)
LEAPS_G = 0.8  # of gravity, at which somebody is in the air for long enough (captured motions: measure.falls)
FALLS_G = 1.1, 1.35  # of gravity: captured motions stay below the first but for the leaps of two dances, which reach 1.31 (benchmarks/falls.py)


@dataclass
class Light:
    name: str
    value: str  # as shown
    colour: str
    meaning: str  # one sentence for an artist


def _grade(value, good, fair, higher_is_better=False):
    if value is None:
        return GREY
    if higher_is_better:
        value, good, fair = -value, -good, -fair
    return GREEN if value <= good else AMBER if value <= fair else RED


def _pick(colour, green, amber, red, grey="Nothing could be measured here."):
    return {GREEN: green, AMBER: amber, RED: red, GREY: grey}[colour]


def lights(numbers: dict) -> list[Light]:
    """The report card, most important first. `numbers` is report.json's content."""
    out = []

    def add(name, value, text, colour, *meaning):
        out.append(Light(name, text if value is not None else "–", colour, _pick(colour, *meaning)))

    joints = numbers["joint_error_px_1920"]["final"]
    add(
        "People in place", joints, f"{joints or 0:.0f} px off at 1920", _grade(joints, 20, 45),
        "The solved bodies sit on the people in the picture.",
        "The bodies follow the people but drift off in places; look at the preview before a close-up.",
        "The bodies miss the people; check the masks and the lens, or solve a shorter range.",
        "No joints were seen, so there is nothing to compare.",
    )  # fmt: skip
    overlap = numbers["iou_people"]
    add(
        "Outlines agree", overlap, f"{100 * (overlap or 0):.0f} % overlap", _grade(overlap, 0.7, 0.5, True),
        "The rendered people cover the real ones.",
        "The rendered people cover the real ones roughly; wide clothes, bags and bikes lower this too.",
        "The rendered people and the real ones hardly overlap.",
        "There are no people to compare.",
    )  # fmt: skip
    slide = numbers["foot_slide_mm"]
    add(
        "Feet on the ground", slide, f"{slide or 0:.1f} mm a frame", _grade(slide, 5, 15),
        "Standing feet stand still.",
        "Standing feet slide a little; Clean Up Feet in the Retarget panel takes care of most of it.",
        "Feet skate; the size or path of the camera may be wrong.",
        "No foot was seen standing.",
    )  # fmt: skip
    jerk = numbers["jitter"]
    add(
        "Smooth motion", jerk, f"{jerk or 0:.0f} × 10 m/s³", _grade(jerk, 15, 45),
        "The motion is about as smooth as motion capture.",
        "The motion trembles slightly or is truly fast; smoothing on bake helps.",
        "The motion trembles; expect to clean up curves.",
        "The tracks are too short to tell.",
    )  # fmt: skip
    tracked = numbers["camera"]["measured_share"]
    add(
        "Camera tracked", tracked, f"{100 * tracked:.0f} % of frames", _grade(tracked, 0.97, 0.8, True),
        "Every frame of the camera was measured against the background.",
        "Some frames of the camera were bridged; the picture there is blurred, dark or covered.",
        "Much of the camera's path is a guess: too little still background can be seen.",
    )  # fmt: skip
    camera = numbers["camera"]
    margin, told = camera.get("travel_margin"), camera.get("set_by") == "artist" or camera["focal_source"] == "given" and camera.get("margin") is None
    carried = camera.get("carried", False)
    kind = {"full": "travels", "rotation": "turns", "static": "is locked off"}.get(camera.get("movement"), "–")
    ahead = f", {100 * margin:.0f} % ahead" if not told and margin is not None and margin < 1 else ""
    add(
        "Kind of camera", camera.get("movement"), f"{kind}{ahead}", AMBER if carried else GREEN if told else RED if margin is None else _grade(margin, 0.1, -1.0, True),
        "Whether the camera travels is clear from the background, or you said so.",
        "The background can hardly be followed; how the camera moved is what standing feet and steps of the people tell."
        if carried
        else "A camera that travels and one that stays explain the background about as well. If this looks wrong, say which it was under Camera and solve again.",
        "The background can hardly be followed: how the camera moved is not known.",
    )  # fmt: skip
    sigma = numbers["camera"]["focal_sigma"]
    source = numbers["camera"]["focal_source"]
    colour = GREEN if source == "given" else RED if source == "prior" else _grade(sigma, 0.07, 0.2)
    lens = f"{numbers['camera']['focal_mm']:.0f} mm"
    if source != "given":
        lens += f" ± {numbers['camera']['focal_mm'] * sigma:.0f}"
    add(
        "Lens known", sigma, lens, colour,
        "The focal length was given or could be measured well.",
        "The focal length is measured roughly; depth may be stretched. Type the lens in if you know it.",
        "The shot does not show which lens took it; this is a guess. Type the lens in if you know it.",
    )  # fmt: skip
    world = numbers["world"]
    size = world["sigma"].get("size")
    add(
        "Size of the world", size, f"± {100 * (size or 0):.0f} %", _grade(size, 0.08, 0.15),
        "Metres are right to what people's heights tell; give a height or a distance for more.",
        "Metres are rough. Give somebody's height, or the lens, and solve again.",
        "Nothing in the shot tells its size well: metres are a guess. Give a height or the lens.",
        "There is nobody to measure the world by.",
    )  # fmt: skip
    front = world["hidden_in_front"]
    add(
        "Background behind people", front, f"{100 * (front or 0):.0f} % in front", _grade(front, 0.05, 0.2),
        "What people hide lies behind them.",
        "Some of the background that people hide was solved in front of them; depth is rough there.",
        "The background was solved in front of the people who hide it: the size of the camera's path is wrong.",
        "The camera does not travel, or nobody hides a followed point.",
    )  # fmt: skip
    floats, sinks = world["float_m"], world["sink_m"]
    off = None if floats is None else max(floats, sinks)
    add(
        "People on the ground", off, f"{100 * (off or 0):.0f} cm off", _grade(off, 0.05, 0.15),
        "The lowest feet are on the ground." if not world["stairs"] else "Feet are on the ground, or on steps over it.",
        "Somebody hovers over the ground or sinks into it for much of the shot; who jumps, sits or stands higher does so rightly.",
        "Somebody is far above or below the ground: look at the side view before you place them in a scene.",
        "There are no people.",
    )  # fmt: skip
    falls = world["falls"]
    g = falls[0]["g"] if falls and falls[0]["g"] >= LEAPS_G else None
    smaller = [f"person {f['person']}, taken for {f['height_m']:.2f} m, about {f['height_by_gravity_m']:.1f} m" for f in falls if f["g"] > FALLS_G[0]]
    smaller = f"{_list(smaller)}. Give these heights and solve again." if smaller else ""
    add(
        "Falls", g, f"{g or 0:.1f} × gravity", _grade(g, *FALLS_G),
        "Who leaps falls about as fast as gravity lets them: metres are right.",
        f"Somebody falls faster than gravity lets them, as who is smaller than they were solved, or leaps as a dancer does. If they are children: {smaller}",
        f"Nobody falls so fast, so they are smaller than they were solved (children?): {smaller}",
        "Nobody leaps, so gravity tells nothing of people's size.",
    )  # fmt: skip
    roll = world["roll_deg"]
    add(
        "Camera level", roll, f"{roll:.0f}° rolled", _grade(roll, 3, 8),
        "The horizon is level, as in most films.",
        "The camera leans to a side; if it was level in truth, up is wrong by as much.",
        "The camera leans far to a side: unless it was tilted on purpose, up is wrong.",
    )  # fmt: skip
    knees = world["unseen_knees_deg"]
    colour, rough = _grade(knees, 35, 60), "Legs out of the picture are bent more than people mostly bend them; they are a guess."
    if colour == GREEN and world["unseen_legs"] > HARDLY:
        colour, rough = AMBER, "Legs are hardly ever in the picture: that their knees bend as knees do says nothing of where they stand."
    add(
        "Unseen legs", knees, f"knees bent by {knees or 0:.0f}°", colour,
        "Legs out of the picture stand or walk as legs do.",
        rough,
        "Legs out of the picture squat or fold: they are a wrong guess, and the person's height over the ground with them.",
        "All legs are in the picture.",
    )  # fmt: skip
    plate = numbers["plate"]
    light = plate.get("light") if plate else None
    sure = light["sure"] if light else None
    guess = plate["unseen_share_of_hidden"] if plate else None
    left, lost = ((plate.get(name) or []) if plate else [] for name in ("somebody_left", "somebody_lost"))
    colour, text = _grade(guess, 0.05, 0.3), f"{100 * (guess or 0):.0f} % guessed"
    worst = "Most of what the people hide is never seen; the plate there is a guess that needs paint."
    if left or lost:
        told = [f"left in {len(left)} of {plate['looked_at']} frames looked at"] * bool(left) + [f"lost in {len(lost)} frames"] * bool(lost)
        colour, text = RED, "somebody " + ", ".join(told)
        shows = f"Somebody still shows in the plate, around frame {_frames(left)}." if left else ""
        maybe = f"Somebody was lost in frames {_frames(lost)} and may show in the plate there." if lost else ""
        worst = f"{shows} {maybe} The masks missed them: outline them under Corrections, bring masks, or paint there.".strip()
    rough = "Part of what the people hide is never seen and was guessed; plate/unseen marks it."
    if colour == GREEN and sure is not None and sure < LEAST:
        colour, rough = AMBER, "What is behind the people is seen, but where they cast shadows these may stay, as the light could not be told: look at the plate."
    add(
        "Clean plate", guess, text, colour,
        "Almost everything behind the people is seen at some time.",
        rough,
        worst,
        "No clean plate was built, or nobody hides anything.",
    )  # fmt: skip
    add(
        "Light of the film", sure,
        f"from {light['elevation_deg']:.0f}° high, {100 * sure:.0f} % sure" if light else "", _grade(sure, 0.7, LEAST, True),
        "The people's shadows tell where the light comes from; they are erased with the people, and new ones fall the same way.",
        "The shadows of the people tell the light roughly: compare new shadows with the film's.",
        "The light could not be told from shadows: new shadows fall where they may, and the people's own stay in the plate.",
        "Nobody's shadow could be looked at.",
    )  # fmt: skip
    return out


def verdict(card: list[Light]) -> tuple[str, str]:
    """One colour and one sentence for the whole take."""
    red = [light.name.lower() for light in card if light.colour == RED]
    amber = [light.name.lower() for light in card if light.colour == AMBER]
    if red:
        return RED, f"Look before you use it: {_list(red)}."
    if amber:
        return AMBER, f"Usable, with an eye on {_list(amber)}."
    if all(light.colour == GREY for light in card):
        return GREY, "There was nothing to measure."
    return GREEN, "Ready to use."


def _frames(indices) -> str:
    """Frames as an artist writes them: runs as 12-18, eight at most."""
    runs = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    said = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return ", ".join(said[:8]) + (" and more" if len(said) > 8 else "")


def _list(names):
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
