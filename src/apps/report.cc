// tidar report: the results of a study as a page, as Markdown and as figures.

#include "report/report.h"

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "apps/command.h"
#include "apps/output.h"
#include "apps/svg_to_png.h"
#include "format/files.h"
#include "report/page.h"
#include "report/study_file.h"

namespace tidar {
namespace {

struct ReportFlags {
  std::string study;
  std::string out;
  bool no_png = false;
};

Result<void> write_pictures(const Report& report, const std::filesystem::path& folder) {
  for (const Plot& plot : report.figures) {
    const std::filesystem::path svg = folder / (plot.name + ".svg");
    TIDAR_TRY(const PngOutcome outcome, svg_to_png(svg, folder / (plot.name + ".png")));
    if (outcome == PngOutcome::written) continue;
    print_error(
        "warning: figures are written as SVG only; for PNG install rsvg-convert (Debian: "
        "librsvg2-bin), or say --no-png");
    return {};
  }
  return {};
}

Result<int> report(const ReportFlags& flags) {
  TIDAR_TRY(const Study study, read_study(flags.study));
  for (const std::string& missing : study.missing) print_error("warning: " + missing);
  const Report made = make_report(study);

  const std::filesystem::path out = flags.out;
  const std::filesystem::path figures = out / "figures";
  std::error_code failure;
  std::filesystem::create_directories(figures, failure);
  if (failure) return error("{}: cannot be created: {}", figures.string(), failure.message());
  for (const Plot& plot : made.figures) {
    TIDAR_TRY_VOID(write_text_file(figures / (plot.name + ".svg"), draw_svg(plot)));
  }
  if (!flags.no_png) TIDAR_TRY_VOID(write_pictures(made, figures));
  TIDAR_TRY_VOID(write_text_file(out / "report.md", made.markdown));
  TIDAR_TRY_VOID(write_text_file(out / "report.html", make_page(made)));
  print((out / "report.html").string() + "\n");
  return kDone;
}

}  // namespace

void add_report(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "report", "Results of many evaluations as a page, Markdown, and figures");
  const auto flags = std::make_shared<ReportFlags>();  // shared by the parser and the action
  command.add_option("study", flags->study, "JSON file that names the results and their places")
      ->required()
      ->type_name("FILE");
  command.add_option("--out", flags->out, "Folder to write into")->required()->type_name("DIR");
  command.add_flag("--no-png", flags->no_png, "Figures as SVG only");
  command.footer(
      "Writes report.html, which needs no other file and no network, report.md, and\n"
      "figures/. The study's format: docs/evaluation.md, Reports.");
  command.callback([flags, &action] { action = [flags] { return report(*flags); }; });
}

}  // namespace tidar
