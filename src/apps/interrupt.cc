#include "apps/interrupt.h"

#include <csignal>

namespace tidar {
namespace {

// A signal handler can reach nothing but an object of static storage.
volatile std::sig_atomic_t interrupted = 0;

void note(int) { interrupted = 1; }

void install(void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  interrupted = 0;
  install(note, static_cast<int>(SA_RESETHAND) | SA_RESTART);
}

Interrupt::~Interrupt() { install(SIG_DFL, 0); }

bool Interrupt::requested() const { return interrupted != 0; }

}  // namespace tidar
