"""Layouts: how a Timeline becomes ids under each clock.

`blocks` (with `lanes`, `audio_lanes`, `block_text`, `block_assembly`), `parallel` (`parallel_*`) and
`turns` (`turns_*`) each give `compile_*(schema, codecs, timeline, media) -> Tokens`; `text_lanes`
says what a text lane has to say and `placement` where it may stand, for all of them.
"""
