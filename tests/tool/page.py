#!/usr/bin/env python3
"""The pages of `tarn replay --html` and `tarn plan --html` in a real browser: clicks, drags, hovers and keys, and what the pages then say.

TARN_TOOL names the command. Exits with 77, a skip, where no Chromium is installed.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import devtools  # noqa: E402
import traces  # noqa: E402

TOOL = os.environ.get("TARN_TOOL", "tarn")


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tarn-page-")
        hostile = os.path.join(cls.folder, "<img src=x onerror=window.hurt=1>.pickle")
        ordinary, cls.file = os.path.join(cls.folder, "job.pickle"), os.path.join(cls.folder, "page.html")
        cls.peak = traces.write_snapshot(ordinary, steps=400)
        traces.write_snapshot(hostile, site="</script><img src=x onerror=window.hurt=1>", seed=2)
        subprocess.run([TOOL, "replay", ordinary, hostile, "--html", cls.file], check=True, stdout=subprocess.DEVNULL)
        cls.browser = devtools.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.browser.events.clear()
        self.page = devtools.Page(self.browser)
        self.page.open(self.file)

    def tearDown(self):
        self.assertEqual(self.page.errors(), [])

    def moment(self):
        """The number of the chosen event, from the sentence below the chart."""
        return int(re.search(r"event ([\d,]+) of", self.page.text("#moment")).group(1).replace(",", ""))

    def range(self):
        return [float(self.page.run(f"document.querySelector('#chart').dataset.{end}")) for end in ("from", "to")]

    def is_hidden(self, selector):
        return self.page.run(f"document.querySelector('{selector}').hidden")

    def pixels(self, selector):
        """The picture of a canvas, to see whether it has changed."""
        return self.page.run(f"document.querySelector('{selector}').toDataURL()")

    def test_it_opens_at_the_peak_with_every_allocator(self):
        rows = self.page.run("[...document.querySelectorAll('#results tbody tr')].map((row) => row.cells[0].textContent)")
        self.assertEqual(rows, ["as recorded", "direct", "caching", "pytorch:as-recorded"])
        mib = self.page.run(f"sizeText({self.peak})")
        self.assertIn(f"live {mib}", self.page.text("#moment"))
        self.assertEqual(self.page.text("#title"), "job.pickle")
        self.assertGreater(len(self.pixels("#chart canvas")), 4000)

    def test_hovering_shows_the_moment_under_the_pointer(self):
        self.assertTrue(self.is_hidden("#chart-tip"))
        self.page.hover("#chart", 0.3)
        self.assertFalse(self.is_hidden("#chart-tip"))
        first = self.page.text("#chart-tip")
        for part in ("event", "live", "caching, reserved", "as recorded, reserved"):
            self.assertIn(part, first)
        self.page.hover("#chart", 0.8)
        self.assertNotEqual(self.page.text("#chart-tip"), first)
        self.page.hover("#title")
        self.assertTrue(self.is_hidden("#chart-tip"))

    def test_a_click_chooses_a_moment_for_map_and_holders(self):
        before = self.page.text("#moment"), self.page.text("#holders"), self.page.text("#blocks-note"), self.pixels("#blocks canvas")
        self.page.click("#chart", 0.3)
        after = self.page.text("#moment"), self.page.text("#holders"), self.page.text("#blocks-note"), self.pixels("#blocks canvas")
        for old, new in zip(before, after):
            self.assertNotEqual(old, new)

    def test_dragging_zooms_and_a_double_click_shows_all(self):
        whole, curves = self.range(), self.pixels("#chart canvas")
        self.page.drag("#chart", 0.3, 0.5)
        least, most = self.range()
        self.assertGreater(least, whole[0])
        self.assertLess(most, whole[1])
        self.assertNotEqual(self.pixels("#chart canvas"), curves)
        self.assertLess(most - least, 0.3 * (whole[1] - whole[0]))
        self.page.click("#chart", 0.5, count=2)
        self.assertEqual(self.range(), whole)

    def test_the_wheel_and_the_buttons_zoom_too(self):
        whole = self.range()
        x, y = self.page.point("#chart")
        self.page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-240, modifiers=2)
        self.page.settle()
        wheeled = self.range()
        self.assertLess(wheeled[1] - wheeled[0], whole[1] - whole[0])
        self.page.click("#zoom-in")
        self.assertLess(self.range()[1] - self.range()[0], wheeled[1] - wheeled[0])
        self.page.click("#zoom-out")
        self.page.click("#zoom-all")
        self.assertEqual(self.range(), whole)

    def test_keys_step_through_events(self):
        self.page.click("#chart", 0.4)
        start = self.moment()
        self.page.key("ArrowRight")
        self.assertEqual(self.moment(), start + 1)
        self.page.key("ArrowLeft")
        self.page.key("ArrowLeft")
        self.assertEqual(self.moment(), start - 1)
        self.assertEqual(self.page.run("document.activeElement.id"), "chart")
        self.page.key("Home")
        self.assertEqual(self.moment(), 0)
        self.page.key("p", text="p")
        self.assertIn(self.page.run(f"sizeText({self.peak})"), self.page.text("#moment"))
        whole = self.range()
        self.page.key("+", text="+")
        self.assertLess(self.range()[1] - self.range()[0], whole[1] - whole[0])
        self.page.key("0", text="0")
        self.assertEqual(self.range(), whole)

    def test_events_can_be_the_axis(self):
        self.page.click("#by-event")
        self.assertEqual(self.page.run("document.querySelector('#by-event').getAttribute('aria-pressed')"), "true")
        least, most = self.range()
        # Three initial allocations, 400 more, and a free for every third of them.
        self.assertEqual((least, most), (2, 3 + 400 + 133 - 1))
        self.page.click("#chart", 0.5)
        self.assertLess(abs(self.moment() - 266), 30)

    def test_lines_can_be_hidden(self):
        curves = self.pixels("#chart canvas")
        self.page.click("#legend li:nth-child(2) input")
        self.assertNotEqual(self.pixels("#chart canvas"), curves)
        self.page.hover("#chart", 0.3)
        self.assertNotIn("as recorded", self.page.text("#chart-tip"))

    def test_the_block_map_knows_each_block(self):
        seen = set()
        for across in (0.2, 0.4, 0.6, 0.8):
            for down in (0.025, 0.192, 0.358, 0.525):
                self.page.hover("#blocks canvas", across, down)
                if not self.is_hidden("#blocks-tip"):
                    seen.add(self.page.text("#blocks-tip"))
        self.assertGreater(len(seen), 3)
        for text in seen:
            self.assertRegex(text, r"\sB\) at 0x[0-9a-f]+, stream 0")
        self.assertTrue(any("forward" in text for text in seen))

    def test_the_block_map_is_reached_by_keys(self):
        self.page.run("document.querySelector('#blocks').focus()")
        self.page.key("ArrowRight")
        first = self.page.text("#block")
        self.assertIn("at 0x", first)
        self.page.key("ArrowRight")
        self.assertNotEqual(self.page.text("#block"), first)
        self.page.key("Escape")
        self.assertEqual(self.page.text("#block"), "")

    def test_each_allocator_has_its_own_map(self):
        names = self.page.run("[...document.querySelectorAll('#lines button')].map((one) => one.textContent)")
        self.assertEqual(names, ["as recorded", "direct", "caching", "pytorch:as-recorded"])
        pictures = set()
        for i in range(3):
            self.page.click(f"#lines button:nth-child({i + 1})")
            pictures.add(self.pixels("#blocks canvas"))
        self.assertGreater(len(pictures), 1)

    def test_pointing_at_a_holder_shows_its_blocks(self):
        picture = self.pixels("#blocks canvas")
        self.page.hover("#holders tbody tr:first-child")
        self.assertNotEqual(self.pixels("#blocks canvas"), picture)
        self.page.hover("#title")
        self.assertEqual(self.pixels("#blocks canvas"), picture)

    def test_the_holders_add_up_to_what_is_live(self):
        total = self.page.run("state.trace.holdersAt(chart.moment, false).reduce((sum, group) => sum + group.bytes, 0)")
        self.assertEqual(total, self.peak)

    def test_another_file_can_be_chosen_and_cannot_inject_a_script(self):
        self.page.run("document.querySelector('#file').focus()")
        self.page.key("ArrowDown")
        self.assertIn("onerror", self.page.text("#title"))
        self.page.hover("#blocks canvas", 0.5, 0.025)
        self.assertIn("</script>", self.page.text("#holders"))
        self.assertEqual(self.page.run("[document.images.length, typeof window.hurt]"), [0, "undefined"])

    def test_dark_and_light_differ(self):
        ground, curves = "getComputedStyle(document.body).backgroundColor", self.pixels("#chart canvas")
        light = self.page.run(ground)
        self.page.scheme("dark")
        self.page.settle()
        self.assertNotEqual(self.page.run(ground), light)
        self.assertNotEqual(self.pixels("#chart canvas"), curves)

    def test_it_fits_a_narrow_window(self):
        self.page.size(420, 800)
        self.page.settle()
        self.assertLessEqual(self.page.run("document.documentElement.scrollWidth"), 420)


class PlanPageTest(unittest.TestCase):
    PROBLEM = ("id,lower,upper,size,region,gaps\n</script><img src=x onerror=window.hurt=1>,0,10,100,0,\nsmall,0,5,10,0,\nlong,5,10,100,0,\n"
               "gap,0,10,50,0,2-8@0:10\nother,100,200,7,1,\n")

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tarn-page-")
        problem, cls.file = os.path.join(cls.folder, "job.csv"), os.path.join(cls.folder, "plan.html")
        with open(problem, "w") as file:
            file.write(cls.PROBLEM)
        subprocess.run([TOOL, "plan", problem, "--capacity", "260", "--html", cls.file], check=True, stdout=subprocess.DEVNULL)
        cls.browser = devtools.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.browser.events.clear()
        self.page = devtools.Page(self.browser)
        self.page.open(self.file)

    def tearDown(self):
        self.assertEqual(self.page.errors(), [])

    def view(self):
        return [float(self.page.run(f"document.querySelector('#plan').dataset.{end}")) for end in ("from", "to", "low", "high")]

    def picture(self):
        """Of the plan and of what is marked in it."""
        return self.page.run("[...document.querySelectorAll('#plan canvas')].map((canvas) => canvas.toDataURL()).join()")

    def place(self, time, address):
        """Where a time and an address of the plan are, as parts of the element's width and height."""
        return self.page.run(f"[picture.toX({time}) / picture.host.clientWidth, picture.toY({address}) / picture.host.clientHeight]")

    def middle(self, name):
        index = f"picture.region.ids.indexOf('{name}')"
        return self.page.run(f"(() => {{ const r = picture.region, i = r.index.indexOf({index}); return [r.from[i] + 0.5, r.offset[i] + r.size[i] * 0.1]; }})()")

    def test_it_opens_with_the_figures_of_each_region(self):
        self.assertEqual(self.page.text("#title"), "job.csv")
        self.assertIn("5 buffers in", self.page.text("#subtitle"))
        self.assertIn("fits 260", self.page.text("#subtitle"))
        rows = self.page.run("[...document.querySelectorAll('#figures tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
        self.assertEqual([row[:2] for row in rows], [["0", "4"], ["1", "1"]])
        self.assertEqual(rows[1][2:5], ["7\u00a0B", "7\u00a0B", "100.00 %"])
        self.assertGreater(len(self.picture()), 4000)

    def test_hovering_says_whose_a_rectangle_is(self):
        self.page.hover("#plan", *self.place(*self.middle("small")))
        tip = self.page.text("#plan-tip")
        self.assertTrue(tip.startswith("small"))
        for part in ("10\u00a0B (10 B) at ", "alive from 0 to 5"):
            self.assertIn(part, tip)
        self.page.hover("#title")
        self.assertTrue(self.page.run("document.querySelector('#plan-tip').hidden"))

    def test_a_gap_leaves_room_and_its_window_does_not(self):
        offset = self.page.run("picture.region.offset[3]")
        at = lambda time, byte: self.page.run(f"picture.region.bufferAt({time}, {offset + byte})")
        self.assertEqual([at(1, 40), at(5, 5), at(9, 40)], [3, 3, 3])
        self.assertNotEqual(at(5, 40), 3)

    def test_a_click_or_a_search_chooses_a_buffer(self):
        before = self.picture()
        self.page.click("#plan", *self.place(*self.middle("long")))
        self.assertTrue(self.page.text("#buffer").startswith("long"))
        self.assertNotEqual(self.picture(), before)
        self.page.key("Escape")
        self.assertEqual(self.page.text("#buffer"), "")
        self.page.run("document.querySelector('#find').focus()")
        for letter in "sma":
            self.page.key(letter, text=letter)
        self.assertTrue(self.page.text("#buffer").startswith("small"))

    def test_dragging_buttons_keys_and_the_wheel_zoom(self):
        whole = self.view()
        self.page.drag("#plan", 0.3, 0.6)
        narrow = self.view()
        self.assertLess(narrow[1] - narrow[0], whole[1] - whole[0])
        self.assertEqual(narrow[2:], whole[2:])
        self.page.click("#plan", 0.5, 0.3, count=2)
        self.assertEqual(self.view(), whole)
        self.page.click("#zoom-in")
        self.assertLess(self.view()[3] - self.view()[2], whole[3] - whole[2])
        self.page.run("document.querySelector('#plan').focus()")
        low = self.view()[2]
        self.page.key("ArrowUp")
        self.assertGreater(self.view()[2], low)
        self.page.key("0", text="0")
        self.assertEqual(self.view(), whole)
        x, y = self.page.point("#plan", 0.5, 0.3)
        self.page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-240, modifiers=2)
        self.page.settle()
        self.assertLess(self.view()[1] - self.view()[0], whole[1] - whole[0])

    def test_colours_show_sizes_or_the_peak(self):
        before, legend = self.picture(), self.page.text("#legend")
        self.page.click("#by-peak")
        self.assertNotEqual(self.picture(), before)
        self.assertIn("alive at the peak", self.page.text("#legend"))
        self.page.click("#by-size")
        self.assertEqual(self.page.text("#legend"), legend)

    def test_each_region_has_its_picture(self):
        self.page.run("document.querySelector('#region').focus()")
        self.page.key("ArrowDown")
        self.assertEqual(self.view()[:2], [0, 100])
        self.page.hover("#plan", *self.place(50, 3))
        self.assertIn("alive from 100 to 200", self.page.text("#plan-tip"))

    def test_an_id_cannot_inject_a_script(self):
        self.page.hover("#plan", *self.place(*self.page.run("[picture.region.from[0] + 0.5, picture.region.offset[0] + 5]")))
        self.assertIn("</script>", self.page.text("#plan-tip"))
        self.assertEqual(self.page.run("[document.images.length, typeof window.hurt]"), [0, "undefined"])

    def test_dark_and_light_differ_and_it_fits_a_narrow_window(self):
        before = self.picture()
        self.page.scheme("dark")
        self.page.settle()
        self.assertNotEqual(self.picture(), before)
        self.page.size(420, 800)
        self.page.settle()
        self.assertLessEqual(self.page.run("document.documentElement.scrollWidth"), 420)


if __name__ == "__main__":
    if devtools.find_browser() is None:
        print("skipped: no Chromium is installed")
        sys.exit(77)
    unittest.main()
