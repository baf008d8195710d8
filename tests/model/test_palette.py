"""The palette: what is written in a colour is legible on its ground, light and dark, as WCAG 2.2 counts it."""

from __future__ import annotations

import pytest

from streamer.model import palette

TEXT, FILL = 4.5, 3.0


def blended(colour: str, ground: str, share: float) -> str:
    parts = [
        round(int(colour[at : at + 2], 16) * share + int(ground[at : at + 2], 16) * (1 - share))
        for at in (1, 3, 5)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)


def test_contrast_is_that_of_the_standard():
    assert (21.0, 1.0) == (palette.contrast("#000000", "#ffffff"), palette.contrast("#0b6bcb", "#0b6bcb"))
    assert 4.54 == round(palette.contrast("#767676", "#ffffff"), 2)


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["bg", "paper"])
@pytest.mark.parametrize("text", ["ink", "soft", "accent", "ok", "warn", "bad"])
def test_text_is_legible_on_page_and_card(colours, ground, text):
    assert palette.contrast(colours[text], colours[ground]) >= TEXT


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_text_on_the_accent_is_legible(colours):
    assert palette.contrast(colours["on-accent"], colours["accent"]) >= TEXT


@pytest.mark.parametrize(
    ("colours", "chips"),
    [(palette.LIGHT, palette.CHIPS_LIGHT), (palette.DARK, palette.CHIPS_DARK)],
    ids=["light", "dark"],
)
def test_a_chip_is_legible_on_its_tint(colours, chips):
    assert palette.contrast(chips["chip-accent"], colours["accent-soft"]) >= TEXT
    for tone in ("ok", "bad", "warn", "soft"):
        tint = blended(colours[tone], colours["paper"], 0.13)
        assert palette.contrast(chips.get(f"chip-{tone}", colours[tone]), tint) >= TEXT


@pytest.mark.parametrize("tone", list(palette.EITHER_GROUND))
@pytest.mark.parametrize("ground", ["#ffffff", "#111111", "#1e1e1e", "#000000"])
def test_a_fill_in_a_notebook_is_seen_on_any_ground(tone, ground):
    assert palette.contrast(palette.EITHER_GROUND[tone], ground) >= FILL


@pytest.mark.parametrize("tone", list(palette.EITHER_GROUND))
def test_white_text_is_legible_on_every_tone_of_a_badge(tone):
    assert palette.contrast(palette.ON_TONE, palette.text_colour(tone)) >= TEXT
    assert palette.contrast(palette.ON_TONE, palette.BADGE_LABEL) >= TEXT


def test_every_tone_has_its_colour_everywhere():
    assert set(palette.EITHER_GROUND) == set(palette.TERMINAL)
    assert set(palette.LIGHT) == set(palette.DARK)
