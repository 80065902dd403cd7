#!/usr/bin/env python3
"""`tarn plan`: the documented keys, MiniMalloc's columns, pictures, interrupts."""
import csv
import json
import os
import random
import signal
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.dont_write_bytecode = True
from command_line import SHARED, tarn, TOOL, ToolTest  # noqa: E402
import traces  # noqa: E402

PLAN_KEYS = ["file", "buffers", "lower_bound", "capacity", "height", "optimal", "seconds", "feasible"]


class Plan(ToolTest):
    # Five buffers of 4 bytes, three of them alive at once: the example in MiniMalloc's own documentation.
    EXAMPLE = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\nb5,0,21,4\n"

    def put(self, text, name="problem.csv"):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def plan(self, path, *arguments, code=0):
        return json.loads(self.check(tarn("plan", path, "--json", *arguments), code).out)

    def check_plan(self, path, height):
        """The rows of a written plan, which must not overlap in time and space."""
        with open(path, newline="") as file:
            rows = [{key: value if key in ("id", "gaps") else int(value) for key, value in row.items()} for row in csv.DictReader(file)]
        for i, a in enumerate(rows):
            self.assertLessEqual(a["offset"] + a["size"], height)
            self.assertEqual(a["offset"] % a.get("alignment", 1), 0)
            for b in rows[:i]:
                together = a["lower"] < b["upper"] and b["lower"] < a["upper"] and a.get("region") == b.get("region")
                self.assertFalse(together and a["offset"] < b["offset"] + b["size"] and b["offset"] < a["offset"] + a["size"], (a, b))
        return rows

    def test_json_has_the_documented_keys(self):
        path = self.put(self.EXAMPLE)
        result = self.plan(path)
        self.assertEqual(list(result), PLAN_KEYS)
        seconds = result.pop("seconds")
        self.assertLess(seconds, 60)
        self.assertEqual(result, {"file": path, "buffers": 5, "lower_bound": 12, "capacity": None, "height": 12, "optimal": True, "feasible": True})
        self.assertEqual(self.plan(path, "--capacity", "1K")["capacity"], 1024)

    def test_the_columns_of_minimalloc_go_out_with_an_offset(self):
        out = self.path("out.csv")
        self.plan(self.put(self.EXAMPLE), "-o", out)
        with open(out) as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[0], "id,lower,upper,size,offset")
        self.assertEqual([line.rsplit(",", 1)[0] for line in lines], self.EXAMPLE.splitlines())
        self.check_plan(out, 12)
        # A plan is a problem too, whose offsets are fixed.
        again = self.plan(out, "-o", self.path("again.csv"))
        self.assertEqual((again["height"], again["optimal"]), (12, True))
        with open(self.path("again.csv")) as file:
            self.assertEqual(file.read().splitlines(), lines)

    def test_what_does_not_fit_exits_with_3_and_is_shown_all_the_same(self):
        path, out = self.put(self.EXAMPLE), self.path("out.csv")
        result = tarn("plan", path, "--capacity", "11", "--json", "-o", out)
        self.check(result, 3)
        facts = json.loads(result.out)
        self.assertEqual((facts["feasible"], facts["capacity"], facts["height"]), (False, 11, 12))
        self.assertRegex(result.err, r"\Atarn plan: [^\n]*problem.csv: no plan that fits 11 B [^\n]+\n\Z")
        self.check_plan(out, 12)

    def test_a_timeout_of_zero_takes_the_first_plan(self):
        self.assertEqual(self.plan(self.put(self.EXAMPLE), "--timeout", "0")["height"], 12)

    def test_gaps_alignments_and_fixed_offsets_are_kept(self):
        out = self.path("out.csv")
        path = self.put("id,lower,upper,size,alignment,gaps,offset\na,0,10,6,1,2-8,0\nb,3,7,6,4,,\nc,0,10,1,1,,20\n")
        result = self.plan(path, "-o", out)
        self.assertEqual((result["height"], result["lower_bound"] <= 21, result["feasible"]), (21, True, True))
        with open(out) as file:
            rows = file.read().splitlines()
        self.assertEqual(rows[0], "id,lower,upper,size,alignment,gaps,offset")
        self.assertEqual(rows[1], "a,0,10,6,1,2-8,0")
        self.assertEqual(rows[3], "c,0,10,1,1,,20")

    def test_sizes_of_zero_are_taken(self):
        out = self.path("out.csv")
        self.assertEqual(self.plan(self.put("id,lower,upper,size\na,0,1,0\nb,0,1,5\n"), "-o", out)["height"], 5)
        self.assertEqual(self.plan(self.put("id,lower,upper,size\n"))["height"], 0)

    def test_a_trace_is_planned_with_its_requested_sizes(self):
        out = self.path("out.csv")
        result = self.plan(self.snapshot, "--alignment", "1", "-o", out)
        self.assertEqual((result["buffers"], result["lower_bound"]), (63, self.peak))
        self.assertEqual(len(self.check_plan(out, result["height"])), 63)
        aligned = self.plan(self.snapshot, "-o", out)
        self.assertGreaterEqual(aligned["lower_bound"], self.peak)
        self.assertTrue(all(row["alignment"] == 512 for row in self.check_plan(out, aligned["height"])))
        log = self.path("log.csv")
        peak = traces.write_rmm(log)
        self.assertEqual(self.plan(log, "--alignment", "1")["lower_bound"], peak)

    def test_the_table_says_it_for_people(self):
        path = self.put(self.EXAMPLE)
        lines = self.check(tarn("plan", path), 0).out.splitlines()
        self.assertEqual(lines[0].split(), ["problem", "buffers", "lower", "bound", "height", "efficiency", "optimal", "fits", "time"])
        self.assertRegex(lines[1], r"problem.csv +5 +12 B +12 B +100.00 % +yes +- ")
        self.assertIn("yes", self.check(tarn("plan", path, "--capacity", "12"), 0).out.splitlines()[1].split()[-3:])

    def test_bad_problems_are_refused_with_their_line(self):
        for text, part in (("id,lower,upper\na,0,1\n", 'line 1: the column "size"'), ("id,lower,upper,size\na,3,3,1\n", "line 2"),
                           ("id,lower,upper,size\na,0,1,1\na,1,2,1\n", "line 3"), ("id,lower,upper,size\na,0,1,99999999999999999999\n", "line 2"),
                           ("id,lower,upper,size\na,0,1,9223372036854775807\nb,0,1,1\n", "line 3"), ("id,lower,upper,size\na,0,x,1\n", "line 2"),
                           ("id,lower,upper,size\na,0,1,1,\n", "line 2"), ("id,lower,upper,size,offset\na,0,1,4,0\nb,0,1,4,2\n", "overlap")):
            with self.subTest(text=text):
                result = tarn("plan", self.put(text))
                self.check_refused(result, 2)
                self.assertIn(part, result.err)

    def test_outputs_that_cannot_be_written_exit_with_2(self):
        path = self.put(self.EXAMPLE)
        for option in ("-o", "--svg", "--html"):
            for place in (self.folder, self.path("missing/out"), "/dev/full"):
                with self.subTest(option=option, place=place):
                    self.check_refused(tarn("plan", path, option, place), 2)

    def test_pictures_stand_alone_and_escape_what_files_say(self):
        path = self.put('id,lower,upper,size\n"</script><img src=x onerror=alert(1)>&\x01\xff",0,3,4\nb,1,9,4\n')
        svg, html = self.path("plan.svg"), self.path("plan.html")
        self.check(tarn("plan", path, "--svg", svg, "--html", html, "--capacity", "8"), 0)
        tree = xml.etree.ElementTree.parse(svg)
        space = {"s": "http://www.w3.org/2000/svg"}
        self.assertEqual([rect.find("s:title", space).text.split(":")[0] for rect in tree.findall(".//s:g/s:rect", space)],
                         ["</script><img src=x onerror=alert(1)>&?\xff", "b"])
        with open(html, encoding="utf8") as file:
            text = file.read()
        self.assertNotIn("<img", text)
        self.assertNotRegex(text, r"<[^>]*(src|href)\s*=")
        # Without any memory to place there is still a picture.
        self.check(tarn("plan", self.put("id,lower,upper,size\na,0,1,0\n"), "--svg", svg, "--html", html), 0)
        xml.etree.ElementTree.parse(svg)

    def test_an_interrupt_ends_the_search_and_shows_the_best_plan(self):
        choose = random.Random(5)
        rows = [(start := choose.randrange(1000), start + choose.randrange(1, 300), choose.randrange(1, 10**6)) for _ in range(400)]
        path = self.put("id,lower,upper,size\n" + "".join(f"{i},{a},{b},{c}\n" for i, (a, b, c) in enumerate(rows)))
        main, terminal = self.open_terminal()
        process = subprocess.Popen([TOOL, "plan", path, "--json", "--timeout", "600"], stdout=subprocess.PIPE, stderr=terminal)
        os.read(main, 16)  # the bar: the search is about to begin, and signals are heard
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(), 0)
        for end in (terminal, main):
            os.close(end)
        self.assertEqual(json.loads(out)["buffers"], 400)

    def test_many_buffers_are_read_and_placed(self):
        path = self.put("id,lower,upper,size\n" + "".join(f"b{i},{i},{i + 50},{64 + i % 1000}\n" for i in range(20_000)))
        result = self.plan(path, "--timeout", "0", "--svg", self.path("plan.svg"), "--html", self.path("plan.html"))
        self.assertEqual(result["buffers"], 20_000)

    def test_the_published_problems_are_planned(self):
        folder = os.path.join(SHARED, "minimalloc")
        if not os.path.isdir(folder):
            self.skipTest("TARN_SHARED_DATA has no minimalloc")
        for name in sorted(os.listdir(folder)):
            with self.subTest(name=name):
                out = self.path("out.csv")
                result = self.plan(os.path.join(folder, name), "--timeout", "0", "-o", out)
                self.check_plan(out, result["height"])
                self.assertLessEqual(result["lower_bound"], result["height"])


if __name__ == "__main__":
    unittest.main()
