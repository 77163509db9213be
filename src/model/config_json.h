#pragma once
// A config.json that has been parsed, or made of something else.

#include <string>

#include "base/result.h"
#include "format/json.h"
#include "model/config.h"

namespace tidar {

/// What parse_model_config() says of a text; `document` is an object.
Result<ModelConfig> model_config_of(const Json& document, const std::string& where);

}  // namespace tidar
