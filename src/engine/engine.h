#pragma once
// Many requests at once on one evaluator: each step builds one pass of all active sequences, lets
// the evaluator carry it out, and hands each request its new text.
