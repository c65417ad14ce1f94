"""The table of families: each serves its own model types, gives its evidence, and has its class in transformers."""

import subprocess
import sys
from dataclasses import replace

import pytest
import transformers

from r_avst.training.clips import MediaSettings
from r_avst.training.families import FAMILIES
from r_avst.training.families import FamilyError
from r_avst.training.families import family_for
from r_avst.training.families.family import NOT_VERIFIED
from r_avst.training.families.generic import GENERIC

SETTINGS = MediaSettings(fps=2.0, max_frames=6, min_pixels=784, max_pixels=784, audio=True, decoder="pyav")


def test_the_table_holds_the_families_of_the_paper() -> None:
    assert list(FAMILIES) == ["qwen2.5-vl", "qwen2.5-omni", "qwen3-vl", "videollama3", "internvl", "generic"]
    assert all(name == own.name for name, own in FAMILIES.items())


@pytest.mark.parametrize(
    ("model_type", "name"),
    [
        ("qwen2_5_vl", "qwen2.5-vl"),
        ("qwen2_5_omni", "qwen2.5-omni"),
        ("qwen2_5_omni_thinker", "qwen2.5-omni"),
        ("qwen3_vl", "qwen3-vl"),
        ("video_llama_3", "videollama3"),
        ("internvl", "internvl"),
    ],
)
def test_a_model_type_has_its_family(model_type: str, name: str) -> None:
    assert family_for(model_type).name == name


def test_another_model_type_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(FamilyError, match=r"'llama'; there are qwen2_5_vl, .*internvl.*server"):
        family_for("llama")


def test_no_model_type_has_two_families() -> None:
    types = [own for family in FAMILIES.values() for own in family.model_types]
    assert len(types) == len(set(types))


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_gives_its_evidence(name: str) -> None:
    family = FAMILIES[name]
    assert family.checkpoints
    assert "https://" in family.evidence or NOT_VERIFIED in family.evidence
    if family.model_types:
        model = getattr(transformers, family.model_class)
        assert model.config_class.model_type in family.model_types


def test_what_is_published_is_stated() -> None:
    spaces = {name: own.space for name, own in FAMILIES.items()}
    assert {name for name, space in spaces.items() if space == "model"} == {"qwen2.5-vl", "qwen2.5-omni"}
    assert {space for name, space in spaces.items() if not name.startswith("qwen2.5")} == {"norm1000"}
    assert [name for name, own in FAMILIES.items() if own.hears] == ["qwen2.5-omni"]


@pytest.mark.parametrize("name", FAMILIES)
def test_sound_is_for_those_who_hear(name: str) -> None:
    FAMILIES[name].check(replace(SETTINGS, audio=False))
    if FAMILIES[name].hears:
        FAMILIES[name].check(SETTINGS)
    else:
        with pytest.raises(FamilyError, match=f"{name} do not hear"):
            FAMILIES[name].check(SETTINGS)


def test_what_only_a_server_runs_is_not_encoded() -> None:
    clip: object = None
    with pytest.raises(FamilyError, match="through a server"):
        GENERIC.encode(None, clip, "", SETTINGS)  # type: ignore[arg-type]


def test_the_table_is_read_without_the_heavy_libraries() -> None:
    """A machine that only asks servers needs none of them."""
    code = "import sys, r_avst.training.families as own; print({'torch', 'transformers', 'av'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
