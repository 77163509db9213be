#include "sandbox/syscall_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace tidar {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "name this processor's AUDIT_ARCH"
#endif

constexpr uint32_t kDenied[] = {
    SYS_socket,
    SYS_shmget,
    SYS_shmat,
    SYS_msgget,
    SYS_semget,
    SYS_memfd_create,
    SYS_memfd_secret,
    SYS_mq_open,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsmount,
    SYS_io_uring_setup,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
};

void add(std::vector<sock_filter>& filter, sock_filter instruction) {
  filter.push_back(instruction);
}

void load(std::vector<sock_filter>& filter, size_t offset) {
  add(filter, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
}

void answer(std::vector<sock_filter>& filter, uint32_t action) {
  add(filter, BPF_STMT(BPF_RET | BPF_K, action));
}

/// Skips the next instruction unless what was loaded compares so with `value`.
void unless_skip(std::vector<sock_filter>& filter, uint16_t comparison, uint32_t value) {
  add(filter, BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), value, 0, 1));
}

}  // namespace

std::vector<sock_filter> syscall_filter() {
  std::vector<sock_filter> filter;
  load(filter, offsetof(seccomp_data, arch));
  add(filter, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  answer(filter, SECCOMP_RET_KILL_PROCESS);

  load(filter, offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  constexpr uint32_t kX32Numbers = 0x40000000;  // the same calls under other numbers
  unless_skip(filter, BPF_JGE, kX32Numbers);
  answer(filter, SECCOMP_RET_KILL_PROCESS);
#endif
  for (const uint32_t number : kDenied) {
    unless_skip(filter, BPF_JEQ, number);
    answer(filter, SECCOMP_RET_ERRNO | EPERM);
  }
  unless_skip(filter, BPF_JEQ, SYS_clone3);
  answer(filter, SECCOMP_RET_ERRNO | ENOSYS);
  answer(filter, SECCOMP_RET_ALLOW);
  return filter;
}

}  // namespace tidar
