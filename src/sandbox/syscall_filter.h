#pragma once
// What a program in the sandbox may not ask the kernel for, as a seccomp filter.

#include <linux/filter.h>

#include <vector>

namespace tidar {

/// A filter that lets everything pass but what a program under test never needs and could do harm
/// with: sockets, memory that no limit of a process counts (System V shared memory and queues,
/// memfd_create), hands on other processes (ptrace and its kin), new namespaces and mounts, and the
/// youngest doors of the kernel (io_uring, bpf, keys, userfaultfd). Those fail with EPERM; clone3,
/// whose flags a filter cannot see, fails with ENOSYS, and libraries fall back to clone. Calls of
/// another architecture kill the process, for their numbers mean something else.
std::vector<sock_filter> syscall_filter();

}  // namespace tidar
