// NCCL without GPUs: sums over several processes of this machine, by the CPU, in the emulated driver's streams. See README.md.
//
// All processes talk with rank 0 through Unix sockets. An operation runs when its stream does, and waits there for the others.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "injection.h"
#include "interface.h"

using namespace emulator;

extern "C" int plywood_emulator_enqueue(void* stream, const char* call, void (*run)(const void*), const void* data, size_t size, const Range* ranges, size_t count);

namespace {

enum Result { success = 0, cuda_error = 1, system_error = 2, invalid_argument = 4, invalid_usage = 5, remote_error = 6 };
enum Type { Uint8 = 1, Uint64 = 5, Float32 = 7, Float64 = 8 };
enum Op { Sum = 0, Max = 2, Broadcast = 100 };

struct UniqueId {
  char name[128];
};
struct Comm {
  int ranks, rank, error = success;
  std::vector<int> sockets; // of rank 0: those of ranks 1, 2, …; of the others: that of rank 0
};
// What the processes must agree on, then what is this process's own.
struct Job {
  int32_t op, type;
  uint64_t count;
  Comm* comm;
  const void* send;
  void* receive;
  void* stream;
};
constexpr size_t common = offsetof(Job, comm);

std::recursive_mutex mutex;
std::map<std::string, int> listeners;
std::set<Comm*> live;
thread_local int depth = 0;
thread_local std::vector<Job> waiting;
thread_local std::string last_error;

Injection& injection() {
  static Injection rules;
  return rules;
}
int refuse(int result, const char* why) {
  fprintf(stderr, "plywood emulator: NCCL: %s\n", why);
  last_error = why;
  return result;
}
size_t size_of(int type) { return type == Uint8 ? 1 : type == Float32 ? 4 : 8; }

bool put(int socket, const void* data, size_t size) {
  for (auto p = static_cast<const char*>(data); size;) {
    ssize_t n = ::send(socket, p, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    p += n, size -= size_t(n);
  }
  return true;
}
bool get(int socket, void* data, size_t size) {
  for (auto p = static_cast<char*>(data); size;) {
    ssize_t n = ::recv(socket, p, size, 0);
    if (n <= 0) return false;
    p += n, size -= size_t(n);
  }
  return true;
}
template <class T> void fold(int op, void* into, const void* from, uint64_t count) {
  auto x = static_cast<T*>(into);
  auto y = static_cast<const T*>(from);
  for (uint64_t i = 0; i < count; ++i) x[i] = op == Sum ? T(x[i] + y[i]) : x[i] < y[i] ? y[i] : x[i];
}

bool exchange(const Job& job) {
  size_t bytes = job.count * size_of(job.type);
  std::vector<char> sum(bytes), other(bytes);
  if (bytes) memcpy(sum.data(), job.send, bytes);
  if (job.comm->rank == 0) {
    for (int socket : job.comm->sockets) {
      char theirs[common];
      if (!get(socket, theirs, common)) return false;
      if (memcmp(theirs, &job, common) != 0) return refuse(0, "the ranks are not at the same operation"), false;
      if (job.op == Broadcast) continue;
      if (!get(socket, other.data(), bytes)) return false;
      switch (job.type) {
      case Uint64: fold<uint64_t>(job.op, sum.data(), other.data(), job.count); break;
      case Float32: fold<float>(job.op, sum.data(), other.data(), job.count); break;
      default: fold<double>(job.op, sum.data(), other.data(), job.count);
      }
    }
    for (int socket : job.comm->sockets)
      if (!put(socket, sum.data(), bytes)) return false;
  } else {
    int socket = job.comm->sockets[0];
    if (!put(socket, &job, common)) return false;
    if (job.op != Broadcast && !put(socket, sum.data(), bytes)) return false;
    if (!get(socket, sum.data(), bytes)) return false;
  }
  if (bytes) memcpy(job.receive, sum.data(), bytes);
  return true;
}
void run(const void* data) {
  Job job;
  memcpy(&job, data, sizeof job);
  {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!live.count(job.comm)) return (void)refuse(0, "an operation runs with a communicator that was destroyed");
  }
  if (!job.comm->error && !exchange(job)) job.comm->error = remote_error;
}
int enqueue(const Job& job) {
  size_t bytes = job.count * size_of(job.type);
  Range ranges[] = {{job.send, bytes, "what is sent"}, {job.receive, bytes, "what is received"}};
  return plywood_emulator_enqueue(job.stream, job.op == Broadcast ? "ncclBroadcast" : "ncclAllReduce", run, &job, sizeof job, ranges, 2) ? cuda_error : success;
}
int submit(const Job& job) {
  if (!live.count(job.comm)) return refuse(invalid_argument, "no communicator, or one that was destroyed");
  if (!job.send || !job.receive) return refuse(invalid_argument, "a null pointer");
  if (depth == 0) return enqueue(job);
  waiting.push_back(job);
  return success;
}
sockaddr_un address(const char* name, socklen_t* size) {
  sockaddr_un a = {};
  a.sun_family = AF_UNIX;
  // A name that begins with a zero is no file.
  size_t length = strnlen(name, 100);
  memcpy(a.sun_path + 1, name, length);
  *size = socklen_t(offsetof(sockaddr_un, sun_path) + 1 + length);
  return a;
}
void patience(int socket) {
  timeval most = {60, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
}
int end(Comm* comm) {
  if (!live.erase(comm)) return refuse(invalid_argument, "no communicator, or one that was destroyed");
  for (int socket : comm->sockets) close(socket);
  delete comm;
  return success;
}

} // namespace

#define ENTER()                                          \
  std::lock_guard<std::recursive_mutex> lock(mutex);     \
  if (int injected = injection().next(__func__)) return refuse(injected, "an error that was asked for")
#define API extern "C" __attribute__((visibility("default")))

API int ncclGetUniqueId(UniqueId* id) {
  ENTER();
  static int made = 0;
  *id = {};
  snprintf(id->name, 100, "plywood-nccl-%d-%d", int(getpid()), made++);
  socklen_t size;
  sockaddr_un a = address(id->name, &size);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, reinterpret_cast<sockaddr*>(&a), size) != 0 || listen(listener, 64) != 0) return refuse(system_error, "no socket");
  listeners[id->name] = listener;
  return success;
}
API int ncclCommInitRank(Comm** result, int ranks, UniqueId id, int rank) {
  ENTER();
  if (!result || ranks < 1 || rank < 0 || rank >= ranks) return refuse(invalid_argument, "a rank that is none");
  auto comm = new Comm{ranks, rank, success, std::vector<int>(rank == 0 ? size_t(ranks) - 1 : 1, -1)};
  live.insert(comm);
  if (rank == 0) {
    int listener = listeners.at(id.name);
    patience(listener);
    for (int i = 1; i < ranks; ++i) {
      int peer = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), of = 0;
      if (peer < 0) return refuse(remote_error, "the other ranks did not come");
      patience(peer);
      if (!get(peer, &of, sizeof of) || of < 1 || of >= ranks || comm->sockets[size_t(of) - 1] >= 0) return refuse(invalid_usage, "ranks that do not fit together");
      comm->sockets[size_t(of) - 1] = peer;
    }
  } else {
    socklen_t size;
    sockaddr_un a = address(id.name, &size);
    int peer = comm->sockets[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    patience(peer);
    if (connect(peer, reinterpret_cast<sockaddr*>(&a), size) != 0 || !put(peer, &rank, sizeof rank)) return refuse(remote_error, "rank 0 is not there");
  }
  *result = comm;
  return success;
}
API int ncclCommDestroy(Comm* comm) {
  ENTER();
  return end(comm);
}
API int ncclCommAbort(Comm* comm) {
  ENTER();
  return end(comm);
}
API int ncclCommGetAsyncError(Comm* comm, int* error) {
  ENTER();
  if (!live.count(comm) || !error) return refuse(invalid_argument, "no communicator, or one that was destroyed");
  *error = comm->error;
  return success;
}
API const char* ncclGetErrorString(int result) {
  switch (result) {
  case success: return "no error";
  case cuda_error: return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
  case system_error: return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
  case invalid_argument: return "invalid argument (run with NCCL_DEBUG=WARN for details)";
  case invalid_usage: return "invalid usage (run with NCCL_DEBUG=WARN for details)";
  case remote_error: return "remote process exited or there was a network error";
  default: return "unknown result code";
  }
}
API const char* ncclGetLastError(Comm*) { return last_error.c_str(); }
API int ncclGroupStart() {
  ENTER();
  ++depth;
  return success;
}
API int ncclGroupEnd() {
  ENTER();
  if (depth == 0) return refuse(invalid_usage, "a group ends that did not begin");
  if (--depth > 0) return success;
  int result = success;
  for (const Job& job : std::exchange(waiting, {}))
    if (int failed = enqueue(job)) result = failed;
  return result;
}
API int ncclBroadcast(const void* send, void* receive, size_t count, int type, int root, Comm* comm, void* stream) {
  ENTER();
  if (root != 0 || type != Uint8) return refuse(invalid_argument, "only bytes of rank 0 are emulated");
  return submit({Broadcast, type, count, comm, send, receive, stream});
}
API int ncclAllReduce(const void* send, void* receive, size_t count, int type, int op, Comm* comm, void* stream) {
  ENTER();
  if ((type != Uint64 && type != Float32 && type != Float64) || (op != Sum && op != Max)) return refuse(invalid_argument, "a type or an operation that is not emulated");
  return submit({op, type, count, comm, send, receive, stream});
}
