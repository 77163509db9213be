#pragma once
// Why a request's pass held the rows that it held, and what they brought: plain data, which an
// engine hands out with the updates of requests that ask for it (Request::explain).

#include <optional>

#include "decode/offer.h"
#include "decode/step_report.h"
#include "plan/prices.h"
#include "plan/shown_rows.h"

namespace tidar {

/// Of one pass and one request.
struct Explanation {
  std::optional<Offer> offer;  ///< what further rows would bring; nullopt: none were offered
  int granted = 0;             ///< rows of the offer that were taken, those of its base included
  StepReport report;           ///< what the pass held of the sequence and what it brought
  ShownRows rows;              ///< those of the sequence
  int asked = 0;               ///< questions to its rows, those for the next draft included
  PassCost pass;               ///< of the whole pass, the other requests' rows included
};

}  // namespace tidar
