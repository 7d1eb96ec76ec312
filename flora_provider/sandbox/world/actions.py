"""FLORA's prebuilt actions: the 40 ids of SDK 0.11.0 with their params (contract, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from flora_provider.sandbox.world.runs import Medium

_TABLE = """
color-grade-image-browser|image>image|advanced brightness contrast highlights hue_shift saturation shadows show_scope
    tint warmth
overlay-image-browser|image>image|blend=normal,multiply,screen,overlay,soft-light center opacity rotation size
draw-image-browser|image>image|color erase size
crop-image-browser|image>image|center lock_aspect rotation size
scene-3d-image-browser|image>image|aspect_ratio background color offset rotation scale shape show_background size
blur-image-browser|image>image|mode=full,draw radius angle radial_mode=zoom,spin radial_strength tilt_center
    tilt_orientation tilt_width brush_size brush_hardness brush_intensity bokeh_shape edge_threshold target_color
    target_invert target_tolerance erase
change-image-ar-browser|image>image|aspect_ratio=1:1,16:9,9:16,4:3,3:4,3:2,2:3,21:9 fit=crop,pad
    background_mode=solid,blur blur_amount pad_color
rotate-image-browser|image>image|angle background canvas_mode=shrink,keep,expand
    direction=none,horizontal,vertical,both transparent
color-filter-image-browser|image>image|intensity grain bw_threshold posterize_bits sepia_warmth solarize_threshold
    vignette_softness vignette_strength dot_angle dot_bg dot_color dot_size highlight_color shadow_color target_color
    colorpop_tolerance
color-tint-image-browser|image>image|blend_mode color intensity
filter-color-image-browser|image>image|mode=remove,replace,keep target_color replacement_color softness tolerance invert
duplicate-image-browser|image>image|count
side-by-side-composite-browser|image>image|background gap layout normalize
add-shape-to-image-browser|image>image|shape fill_color fill_opacity stroke_color stroke_width width height size center
    rotation background show_background
add-text-to-image-browser|image>image|text font_family font_size color opacity center dimensions max_width rotation
    shadow background show_background
qr-code-generator-browser|text>image|size border error_correction=L,M,Q,H fg_color bg_color
resize-image-browser|image>image|mode=exact,percent,longest width height longest percent fit=contain,cover,stretch
    bg_color
shader-effect-browser|image>image|effect=chromatic,glitch,edges,crt,ripple,kaleidoscope,bloom,pixelate intensity
    bloom_strength bloom_threshold edge_thickness glitch_amount ripple_amp ripple_freq scanline_strength segments shift
split-text-browser|text>text|split_mode=separator,paragraph,bullets,lines,charCount separator lines_per_part
    chars_per_part max_parts skip_empty trim_parts
find-and-replace-text-browser|text>text|find replace replace_all case_sensitive whole_word
concat-text-browser|text>text|separator prefix suffix add_headers skip_empty trim_parts wrap_each_part
ken-burns-video|image>video|duration easing fps=24,30,60 pan_direction zoom zoom_direction
stitch-videos|video>video|transition=none,fade,wipeleft,wiperight transition_duration fit_mode=contain,cover
    background_mode background_color blur_amount
split-video|video>video|split_mode=equal,duration,scene segments segment_duration scene_sensitivity strip_audio
    trim_handles
extract-video-frames|video>image|mode=single,evenly,interval,scene frame_count every_seconds time_percent range
    scene_sensitivity
color-grade-video|video>video|brightness contrast gamma saturation
video-to-frame-grid|video>image|rows cols cell_width gap background
boomerang-video|video>video|speed include_audio
reverse-video|video>video|audio_mode=strip,reverse,keep
video-to-long-exposure|video>image|blend_mode=average,lighten,darken frame_stride max_frames
video-effect|video>video|effect=vignette,grain,pixelate,shake,chromatic,vhs chromatic_offset grain_strength
    pixel_block_size shake_amount vignette_angle
color-filter-video|video>video|bw_threshold grain posterize_bits solarize_threshold
speed-up-video|video>video|factor keep_audio
slow-down-video|video>video|factor keep_audio smoothing=off,blend,motion
duplicate-video|video>video|count
greenscreen-video|video>video|color_preset=green,blue,custom custom_color similarity blend spill
resize-video|video>video|resolution custom_resolution
change-video-ar|video>video|aspect_ratio=1:1,16:9,9:16,4:3,3:4,3:2,2:3,21:9 fit=crop,pad background_mode=solid,blur
    blur_amount pad_color
split-audio-from-video|video>audio|audio_format=auto,m4a,mp3,wav
merge-audio-into-video|video>video|duration=shortest,video,audio
"""


@dataclass(frozen=True, slots=True)
class Action:
    """A prebuilt action, which takes one medium and makes another."""

    id: str
    takes: Medium
    medium: Medium
    params: dict[str, tuple[str, ...]]  # each with the values it may have; none where any will do
    usd: ClassVar[float] = 0.0

    @property
    def name(self) -> str:
        """Display name."""
        return self.id.removesuffix("-browser").replace("-", " ").capitalize()

    @property
    def seconds(self) -> int:
        """Estimated duration: a browser's work is quick, a video's is not."""
        return 8 if "video" in (self.takes, self.medium) else 2

    def check_params(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """Return the problems of `params`: values FLORA lists and these are not; unknown keys are let pass."""
        wrong = [
            name for name, allowed in self.params.items() if allowed and name in params and params[name] not in allowed
        ]
        return [(f"params.{name}", f"Expected one of {', '.join(self.params[name])}.") for name in wrong]

    def to_json(self) -> dict[str, Any]:
        """Return the contract's Action (2.11)."""
        many = self.id.startswith(("stitch", "concat", "side-by-side", "overlay"))
        slot: dict[str, Any] = {"name": "input", "type": self.takes}
        return {
            "action_id": self.id,
            "name": self.name,
            "description": f"Makes {self.medium} from {self.takes}.",
            "language": "javascript" if self.id.endswith("-browser") else "python",
            "charged_cost": 0,
            "inputs": [{**slot, "multiple": True} if many else slot],
            "outputs": [{"name": "output", "type": self.medium}],
            "params": [_param(name, values) for name, values in self.params.items()],
        }


def _param(name: str, values: tuple[str, ...]) -> dict[str, Any]:
    label = name.replace("_", " ").capitalize()
    if not values:
        return {"key": name, "type": "any", "label": label}
    available = [{"label": value, "value": value} for value in values]
    return {"key": name, "type": "enum", "label": label, "default_value": values[0], "available_values": available}


def _read(line: str) -> Action:
    action_id, media, words = line.split("|")
    takes, makes = media.split(">")
    params = {}
    for word in words.split():
        name, _, values = word.partition("=")
        params[name] = tuple(values.split(",")) if values else ()
    return Action(action_id, cast("Medium", takes), cast("Medium", makes), params)


ACTIONS = {action.id: action for action in map(_read, _TABLE.replace("\n    ", " ").strip().splitlines())}
