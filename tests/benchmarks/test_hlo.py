"""Counting in a compiled program: on one that is small enough to be counted by hand."""

from hlo import Kernel, read_program

PROGRAM = """HloModule jit_f, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%fused_slices (p0: f32[8,4], p1: f32[4]) -> (f32[2,4], pred[4]) {
  %p0 = f32[8,4]{1,0} parameter(0)
  %p1 = f32[4]{0} parameter(1)
  %flat = f32[32]{0} bitcast(%p0)
  %first = f32[4]{0} slice(%flat), slice={[0:4]}
  %second = f32[4]{0} slice(%flat), slice={[8:12]}
  %both = f32[2,4]{1,0} custom(%first, %second)
  %less = pred[4]{0} compare(%p1, %first), direction=LT
  ROOT %pair = (f32[2,4]{1,0}, /*index=1*/pred[4]{0}) tuple(%both, %less)
}

%fused_update (p0: f32[8,4], p1: f32[1,4], p2: s32[]) -> f32[8,4] {
  %p0.1 = f32[8,4]{1,0} parameter(0)
  %p1.1 = f32[1,4]{1,0} parameter(1)
  %p2 = s32[] parameter(2)
  ROOT %new = f32[8,4]{1,0} dynamic-update-slice(%p0.1, %p1.1, %p2, %p2)
}

%body (state: (f32[8,4], s32[])) -> (f32[8,4], s32[]) {
  %state = (f32[8,4]{1,0}, s32[]) parameter(0)
  %all = f32[8,4]{1,0} get-tuple-element(%state), index=0
  %i = s32[] get-tuple-element(%state), index=1
  %row = f32[1,4]{1,0} copy(%all)
  %update = f32[8,4]{1,0} fusion(%all, %row, %i), kind=kLoop, calls=%fused_update
  ROOT %next = (f32[8,4]{1,0}, s32[]) tuple(%update, %i)
}

%condition (state.1: (f32[8,4], s32[])) -> pred[] {
  %state.1 = (f32[8,4]{1,0}, s32[]) parameter(0)
  %i.1 = s32[] get-tuple-element(%state.1), index=1
  ROOT %goes_on = pred[] compare(%i.1, %i.1), direction=LT
}

ENTRY %main (x: f32[8,4]) -> f32[8,4] {
  %x = f32[8,4]{1,0} parameter(0)
  %y = f32[4]{0} custom-call(%x), custom_call_target="f"
  %zero = s32[] constant(0)
  %slices = (f32[2,4]{1,0}, /*index=1*/pred[4]{0}) fusion(%x, %y), kind=kLoop, calls=%fused_slices
  %start = (f32[8,4]{1,0}, s32[]) tuple(%x, %zero)
  %counted = (f32[8,4]{1,0}, s32[]) while(%start), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"7"}}
  %asked = (f32[8,4]{1,0}, s32[]) while(%counted), condition=%condition, body=%body
  ROOT %result = f32[8,4]{1,0} get-tuple-element(%asked), index=0
}
"""  # noqa: E501


def test_kernels_bytes_and_trips():
    whole = read_program(PROGRAM)
    # A call reads all 128 bytes; two slices of 16 of them, and all of y, are read by the fusion, which writes 32 + 4.
    assert whole.kernels == [Kernel("y", 128, 16), Kernel("slices", 32 + 16, 32 + 4)]
    counted, asked = whole.loops
    assert (counted.trips, asked.trips) == (7, None)
    # What is updated in place is neither read nor written as a whole.
    assert counted.kernels == [Kernel("row", 128, 16), Kernel("update", 16 + 4, 16)]
    assert counted.traffic == 128 + 16 + 20 + 16
    # The host reads the condition's answer, so that its kernel runs, too.
    assert asked.kernels == [Kernel("goes_on", 8, 1), *counted.kernels]
    assert whole.every() == [whole, counted, asked]
