#!/usr/bin/env python3
"""`tarn inspect`: the facts of a trace."""
import json
import pickle
import sys
import unittest

sys.dont_write_bytecode = True
from command_line import tarn, ToolTest  # noqa: E402
import traces  # noqa: E402


class Inspect(ToolTest):
    def test_peak_and_holders(self):
        facts = json.loads(self.check(tarn("inspect", self.snapshot, "--json"), 0).out)
        self.assertEqual(facts["peak"]["live_bytes"], self.peak)
        self.assertEqual(sum(holder["bytes"] for holder in facts["peak"]["by_site"]), self.peak)
        self.assertTrue(any("forward" in (holder["site"] or "") for holder in facts["peak"]["by_site"]))
        self.assertEqual(facts["event_counts"]["allocate"], 60)
        self.assertEqual(facts["initial_allocations"], 3)
        state = facts["final_state"]
        self.assertEqual(state["reserved_bytes"], state["active_bytes"] + state["pending_bytes"] + state["inactive_bytes"])
        text = self.check(tarn("inspect", self.snapshot), 0).out
        for part in ("peak", "by call site", "Sizes", "Lifetimes", "largest free block"):
            self.assertIn(part, text)

    def test_a_snapshot_without_history_has_a_state(self):
        data, _ = traces.snapshot()
        data["device_traces"] = [[]]
        blocks = data["segments"][0]["blocks"]
        for block in blocks:
            block["user_metadata"] = "weights" if block["size"] > 1 << 20 else ""
        path = self.path("state.pickle")
        with open(path, "wb") as file:
            pickle.dump(data, file)
        facts = json.loads(self.check(tarn("inspect", path, "--json"), 0).out)
        free = [block["size"] for block in blocks if block["state"] == "inactive"]
        held = [block["requested_size"] for block in blocks if block["state"] == "active_allocated"]
        self.assertEqual(facts["events"], 0)
        self.assertEqual(facts["peak"]["live_bytes"], sum(held))
        self.assertEqual({holder["tag"] for holder in facts["peak"]["by_tag"]}, {"weights", None})
        self.assertEqual(facts["final_state"]["largest_free_block_bytes"], max(free))
        self.assertAlmostEqual(facts["final_state"]["fragmentation"], 1 - max(free) / sum(free))
        text = self.check(tarn("inspect", path), 0).out
        self.assertIn("fragmentation", text)
        self.assertNotIn("0 freed", text)
        # Replayed, what is alive is all there is; converted, the state stays.
        result = self.results(path, "--allocator", "direct")[0]
        self.assertEqual((result["events"], result["peak_live_bytes"]), (0, sum(held)))
        for name in ("copy.pickle", "copy.tarn"):
            self.check(tarn("convert", path, self.path(name)), 0)
            again = json.loads(self.check(tarn("inspect", self.path(name), "--json"), 0).out)
            for key in ("peak", "final_state", "initial_allocations", "recorded_peak_reserved_bytes"):
                self.assertEqual(again[key], facts[key], (name, key))

    def test_top_limits_the_holders(self):
        facts = json.loads(self.check(tarn("inspect", self.snapshot, "--json", "--top", "1"), 0).out)
        self.assertEqual(len(facts["peak"]["by_site"]), 1)

    def test_each_device_has_its_own_peaks(self):
        path = self.path("two.pickle")
        for device, (peak, reserved) in enumerate(traces.write_two_devices(path)):
            facts = json.loads(self.check(tarn("inspect", path, "--json", "--trace-device", str(device)), 0).out)
            self.assertEqual((facts["peak"]["live_bytes"], facts["recorded_peak_reserved_bytes"]), (peak, reserved))
            self.assertEqual(facts["initial_allocations"], 3)

    def test_the_peaks_event_is_counted_as_the_events_are(self):
        # The last of 60 allocations, of which each third is followed by a free.
        events = [event for event in traces.snapshot()[0]["device_traces"][0] if event["action"] in ("alloc", "free_requested")]
        live = [3 * 2 * traces.MIB]
        for event in events:
            live.append(live[-1] + (event["size"] if event["action"] == "alloc" else -event["size"]))
        facts = json.loads(self.check(tarn("inspect", self.snapshot, "--json"), 0).out)
        self.assertEqual((facts["events"], facts["peak"]["event"]), (len(events), live.index(self.peak)))
        self.assertIn(f"event {live.index(self.peak)}\n", self.check(tarn("inspect", self.snapshot), 0).out)


if __name__ == "__main__":
    unittest.main()
