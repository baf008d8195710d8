"""The fuzzer of `benchmarks/fuzz.py` over fewer inputs: of bytes nobody expects comes nothing but what is declared."""

from __future__ import annotations

import random

import pytest

from benchmarks.fuzz import fuzz_decoder, fuzz_ingest, fuzz_requests


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_stream_reads_the_same_however_it_is_cut_and_within_its_bound(seed):
    counts = fuzz_decoder(random.Random(seed), 5000)
    assert counts["read"] > 1000
    assert counts["too large"] > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_an_ingest_body_is_refused_in_the_declared_form_or_stored_and_read_back(seed):
    counts = fuzz_ingest(random.Random(seed), 5000)
    assert counts["taken"] > 500
    assert counts["refused with 422"] > 500
    assert counts["refused with 409"] > 10


@pytest.mark.slow
async def test_over_a_socket_every_body_is_answered_and_the_streamer_goes_on(tmp_path):
    counts = await fuzz_requests(random.Random(0), 500, tmp_path)
    assert counts["ingest: 200"] > 20
    assert counts["ingest: 422"] > 20
