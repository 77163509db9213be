// tidar train: a run of training, from its config file to checkpoints and curves.

#include <memory>
#include <string>

#include "apps/backend.h"
#include "apps/command.h"
#include "apps/output.h"
#include "apps/ranks.h"
#include "apps/training_run.h"

namespace tidar {
namespace {

Result<int> train(const TrainFlags& flags) {
  TIDAR_TRY(const std::unique_ptr<Communicator> ranks, open_ranks());
  Result<TrainingRun> run = TrainingRun::open(flags, *ranks);
  if (auto failure = failure_of_all(*ranks, run.ok() ? nullptr : &run.error())) return *failure;
  Result<int> outcome = run->go();
  if (auto failure = failure_of_all(*ranks, outcome.ok() ? nullptr : &outcome.error())) {
    return *failure;
  }
  return outcome;
}

}  // namespace

void add_train(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "train", "Trains a model: AR, TiDAR, block or masked diffusion; from a checkpoint or new");
  const auto flags = std::make_shared<TrainFlags>();  // shared by the parser and the action
  command.option_defaults()->group("Run");
  command.add_option("--config", flags->config, "JSON file that describes the run")
      ->required()
      ->type_name("FILE");
  command.add_option("--set", flags->set, "A field of the config and its value for this run")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--resume", flags->resume,
                   "Go on from the newest checkpoint of the run, or begin when there is none");
  command
      .add_option("--resume-from", flags->resume_from,
                  "Go on from the checkpoint of this step; newer ones become step-N.left")
      ->check(CLI::NonNegativeNumber)
      ->type_name("STEP");
  command.option_defaults()->group("Computing");
  add_isa_flag(command, flags->isa);
  add_threads_flag(command, flags->threads);
  command.footer(
      "Fields of the config: docs/training.md; --set may be given for many of them.\n"
      "Paths in it are relative to the folder in which the program runs. Ctrl-C saves\n"
      "a checkpoint and stops; --resume goes on, bit for bit. mpirun -n 2 tidar train …\n"
      "trains in two processes, each with its own packs of every step.");
  command.callback([flags, &action] { action = [flags] { return train(*flags); }; });
}

}  // namespace tidar
