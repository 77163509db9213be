"""For tests of `tidar generate`: what it wrote, as an object."""

import json

from outside import FixtureCase


class GenerateCase(FixtureCase):
    def generate(self, model, *args, **options):
        out, err = self.succeed("generate", "--model", model, "--json", *args, **options)
        return json.loads(out), err

    def expect_rows(self, found, decoded):
        self.assertAlmostEqual(found["rows_per_pass"], found["rows"] / found["passes"])
        self.assertAlmostEqual(found["rows_that_brought_a_token"], decoded / found["rows"])
        if "draft_places" in found:
            places = found["draft_places"]
            self.assertEqual(found["guesses"], sum(place["drafted"] for place in places))
            self.assertEqual(found["guesses_right"], sum(place["accepted"] for place in places))
        self.assertTrue(0 <= found["guesses_right"] <= found["guesses"])
        self.assertLess(found["masks"], found["rows"])
        self.assertTrue(0 <= found["masks_wasted"] <= 1)
        self.assertTrue(0 <= found["groups_used"] <= 1)
