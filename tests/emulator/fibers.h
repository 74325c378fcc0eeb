// Runs one block of a kernel: its threads are fibers on one thread of the CPU.
//
// A fiber runs threads to their end, one after another, until one has to wait for others; only then the next fiber is taken.
// So a kernel that never synchronises costs no switch per thread, and its loop over the threads is compiled into the module.
#pragma once
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#include "interface.h"

namespace emulator {

constexpr size_t stack_bytes = 128 << 10;

#if defined(__x86_64__) && !defined(PLYWOOD_EMULATOR_UCONTEXT)
// ucontext stores the signal mask with a system call at every switch: 100 times the cost of this.
extern "C" void plywood_switch(void** save, void* load);
asm(R"(
.text
.hidden plywood_switch
.globl plywood_switch
.type plywood_switch, @function
plywood_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size plywood_switch, . - plywood_switch
)");
struct Context {
  void* stack_pointer = nullptr;
  void prepare(char* stack, size_t bytes, void (*main)()) {
    void** top = reinterpret_cast<void**>(stack + bytes);
    *--top = nullptr; // where `main` would return to; it never does
    *--top = reinterpret_cast<void*>(main);
    stack_pointer = top - 6;
    memset(stack_pointer, 0, 6 * sizeof(void*));
  }
  static void change(Context& from, Context& to) { plywood_switch(&from.stack_pointer, to.stack_pointer); }
};
#else
struct Context {
  ucontext_t state;
  void prepare(char* stack, size_t bytes, void (*main)()) {
    getcontext(&state);
    state.uc_stack.ss_sp = stack;
    state.uc_stack.ss_size = bytes;
    state.uc_link = nullptr;
    makecontext(&state, main, 0);
  }
  static void change(Context& from, Context& to) { swapcontext(&from.state, &to.state); }
};
#endif

// What ended a launch before its time: one of CUDA's error codes and a sentence.
struct Failure {
  int code = 0;
  std::string message;
};

class Blocks {
  struct Fiber {
    Context context;
    char* stack;
    Index thread;
    unsigned long long value; // what it brings to a warp operation, then what it gets
    int source;
  };
  // Lanes of one warp that wait for each other.
  struct Meeting {
    Exchange kind;
    unsigned mask, arrived;
    Fiber* lanes[32];
  };
  struct Warp {
    std::vector<Meeting> meetings;
    size_t open = 0; // so many of them are under way
  };

  std::vector<Fiber*> fibers, idle;
  std::vector<Fiber*> waiting;   // at the block's barrier
  std::vector<Fiber*> ready;     // may go on, from `next_ready` on
  size_t next_ready = 0;
  std::vector<Warp> warps;
  unsigned blocked_lanes = 0;
  Context scheduler;
  Fiber* current = nullptr;
  Module* module = nullptr;
  const Kernel* kernel = nullptr;
  void** parameters = nullptr;
  Failure failure;
  unsigned threads = 0;
  volatile sig_atomic_t running = 0;

  static void fiber_main() {
    Blocks& b = self();
    for (;;) {
      b.kernel->threads(b.parameters);
      b.idle.push_back(b.current);
      b.leave();
    }
  }

  Fiber* take_idle() {
    if (idle.empty()) {
      // The lowest page stays without access: a stack that overflows is noticed.
      void* memory = mmap(nullptr, stack_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      long page = sysconf(_SC_PAGESIZE);
      if (memory == MAP_FAILED || mprotect((char*)memory + page, stack_bytes - size_t(page), PROT_READ | PROT_WRITE) != 0) {
        perror("plywood emulator: no memory for the stacks of a block's threads");
        abort();
      }
      Fiber* f = new Fiber();
      f->stack = static_cast<char*>(memory);
      f->context.prepare(f->stack, stack_bytes, fiber_main);
      fibers.push_back(f);
      idle.push_back(f);
    }
    Fiber* f = idle.back();
    idle.pop_back();
    return f;
  }

  // The fiber to run next, or null when none can go on.
  Fiber* pick() {
    if (next_ready == ready.size() && !module->unstarted && waiting.size() == threads) {
      ready.swap(waiting);
      waiting.clear();
      next_ready = 0;
    }
    if (next_ready < ready.size()) {
      Fiber* f = ready[next_ready++];
      if (next_ready == ready.size()) ready.clear(), next_ready = 0;
      module->thread = f->thread;
      return f;
    }
    return module->unstarted ? take_idle() : nullptr;
  }

  // Goes on with another fiber; returns when it is this one's turn again.
  void leave() {
    Fiber *from = current, *to = pick();
    if (to == from) return;
    current = to;
    Context::change(from->context, to ? to->context : scheduler);
  }

  unsigned linear(Index t) const { return t.x + module->block_size.x * (t.y + module->block_size.y * t.z); }

  std::string where(Index t) const {
    char text[200];
    snprintf(text, sizeof text, " (block %u,%u,%u thread %u,%u,%u)", module->block.x, module->block.y, module->block.z, t.x, t.y, t.z);
    return text;
  }

  // Ends the launch: the fibers are thrown away where they stand, which kernels, having no destructors to run, do not mind.
  [[noreturn]] void fail(int code, std::string message) {
    failure = {code, std::move(message)};
    Context::change(current->context, scheduler);
    abort();
  }

  void wait_for_block() {
    current->thread = module->thread;
    waiting.push_back(current);
    leave();
  }

  unsigned long long meet(Exchange kind, unsigned mask, unsigned long long value, int source) {
    Fiber* f = current;
    f->thread = module->thread;
    unsigned index = linear(f->thread), lane = index % 32, first = index - lane;
    unsigned existing = threads - first >= 32 ? ~0u : (1u << (threads - first)) - 1;
    unsigned needed = mask & existing;
    if (!(mask >> lane & 1)) fail(launch_failed, "a thread takes part in a warp operation whose mask leaves it out" + where(f->thread));
    f->value = value;
    f->source = source;
    Warp& warp = warps[index / 32];
    size_t i = 0;
    while (i < warp.open && warp.meetings[i].mask != mask) ++i;
    if (i == warp.open) {
      if (warp.meetings.size() == i) warp.meetings.emplace_back();
      warp.meetings[i].kind = kind;
      warp.meetings[i].mask = mask;
      warp.meetings[i].arrived = 0;
      ++warp.open;
    }
    Meeting& m = warp.meetings[i];
    if (m.kind != kind) fail(launch_failed, "the lanes of a warp wait in different operations" + where(f->thread));
    m.arrived |= 1u << lane;
    m.lanes[lane] = f;
    if (m.arrived != needed) {
      ++blocked_lanes;
      leave();
      return f->value;
    }
    unsigned long long ballot = 0;
    if (kind == Exchange::Ballot)
      for (unsigned l = 0; l < 32; ++l)
        if (needed >> l & 1 && m.lanes[l]->value) ballot |= 1ull << l;
    unsigned long long results[32];
    for (unsigned l = 0; l < 32; ++l) {
      if (!(needed >> l & 1)) continue;
      int s = m.lanes[l]->source;
      // A lane that does not exist or takes no part gives nothing defined: NaN.
      results[l] = kind == Exchange::Ballot ? ballot : (s >= 0 && s < 32 && needed >> s & 1) ? m.lanes[s]->value : ~0ull;
    }
    for (unsigned l = 0; l < 32; ++l) {
      if (!(needed >> l & 1)) continue;
      m.lanes[l]->value = results[l];
      if (m.lanes[l] != f) {
        ready.push_back(m.lanes[l]);
        --blocked_lanes;
      }
    }
    if (i != --warp.open) m = warp.meetings[warp.open];
    return f->value;
  }

  static void barrier() { self().wait_for_block(); }
  static unsigned long long exchange(Exchange kind, unsigned mask, unsigned long long value, int source) {
    return self().meet(kind, mask, value, source);
  }
  static void trap(const char* message) { self().fail(launch_failed, message + self().where(self().module->thread)); }

#ifdef __x86_64__
  static constexpr int checked = SIGILL; // what a check of -fsanitize ends in
#else
  static constexpr int checked = SIGTRAP;
#endif
  // A fault within a kernel becomes CUDA's error; any other goes where it would have gone.
  static inline struct sigaction before[32];
  static void on_signal(int number, siginfo_t* info, void*) {
    Blocks& b = self();
    if (!b.running) {
      sigaction(number, &before[number], nullptr);
      return; // the instruction faults again, under the former handler
    }
    char text[160];
    int code = illegal_address;
    if ((number == SIGSEGV && info->si_code == SI_KERNEL) || (number == SIGBUS && info->si_code == BUS_ADRALN)) {
      code = misaligned_address;
      snprintf(text, sizeof text, "an access to a misaligned or impossible address");
    } else if (number == SIGSEGV || number == SIGBUS) {
      snprintf(text, sizeof text, "an access to address %p, which is no device memory", info->si_addr);
    } else if (number == checked) {
      code = misaligned_address;
      snprintf(text, sizeof text, "a misaligned access, an index outside of its array, or a shift by too many bits");
    } else {
      code = launch_failed;
      snprintf(text, sizeof text, "an integer division by zero");
    }
    b.fail(code, text + b.where(b.module->thread));
  }
  Blocks() {
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    // Not blocked while it runs, since it never returns when it leaves a kernel.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int number : {SIGSEGV, SIGBUS, SIGFPE, checked}) sigaction(number, &action, &before[number]);
  }

  static constexpr size_t dynamic_bytes = 256 << 10;
  // For the shared memory that a launch asks for; a page without access follows.
  static char* dynamic_memory() {
    static char* memory = [] {
      void* all = mmap(nullptr, dynamic_bytes + size_t(sysconf(_SC_PAGESIZE)), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (all == MAP_FAILED || mprotect(all, dynamic_bytes, PROT_READ | PROT_WRITE) != 0) {
        perror("plywood emulator: no memory for a block's shared memory");
        abort();
      }
      return static_cast<char*>(all);
    }();
    return memory;
  }

  void discard() {
    for (Fiber* f : fibers) f->context.prepare(f->stack, stack_bytes, fiber_main);
    idle = fibers;
    ready.clear();
    next_ready = 0;
    waiting.clear();
    for (Warp& w : warps) w.open = 0;
    blocked_lanes = 0;
  }

  bool run_block() {
    Index size = module->block_size;
    module->next = module->backwards ? Index{size.x - 1, size.y - 1, size.z - 1} : Index{0, 0, 0};
    module->unstarted = threads;
    module->ended = 0;
    current = take_idle();
    Context::change(scheduler, current->context);
    if (!failure.code && blocked_lanes != 0) {
      for (Warp& w : warps)
        if (w.open) {
          Index t = w.meetings[0].lanes[__builtin_ctz(w.meetings[0].arrived)]->thread;
          failure = {launch_failed, "lanes of a warp wait in a warp operation that other lanes of its mask never reach" + where(t)};
        }
    } else if (!failure.code && !waiting.empty()) {
      failure = {launch_failed, "threads wait at __syncthreads that others, which have ended, never reached" + where(waiting[0]->thread)};
    }
    return failure.code == 0;
  }

public:
  static constexpr int illegal_address = 700, misaligned_address = 716, launch_failed = 719;

  // Backwards: the last block and the last thread first; nobody may rely on an order. Strict: shared memory is NaN at the start
  // of every block and not only of the first.
  Failure run(Module* of, const std::vector<Span>& shared, unsigned dynamic, const Kernel& k, Index grid, Index block, void** arguments, bool backwards, bool strict) {
    module = of;
    kernel = &k;
    parameters = arguments;
    failure = {};
    threads = block.x * block.y * block.z;
    module->grid = grid;
    module->block_size = block;
    module->backwards = backwards;
    module->barrier = barrier;
    module->exchange = exchange;
    module->trap = trap;
    // It ends, up to what its alignment leaves, where no access is possible.
    size_t room = (dynamic + 15) / 16 * 16;
    module->dynamic = dynamic ? dynamic_memory() + dynamic_bytes - room : nullptr;
    if (warps.size() < threads / 32 + 1) warps.resize(threads / 32 + 1);
    running = 1;
    unsigned long long blocks = (unsigned long long)grid.x * grid.y * grid.z;
    for (unsigned long long i = 0; i < blocks; ++i) {
      unsigned long long b = backwards ? blocks - 1 - i : i;
      module->block = {unsigned(b % grid.x), unsigned(b / grid.x % grid.y), unsigned(b / grid.x / grid.y)};
      if (i == 0 || strict) {
        for (const Span& s : shared) memset(s.start, 0xff, s.bytes);
        if (dynamic) memset(module->dynamic, 0xff, room);
      }
      if (!run_block()) {
        discard();
        break;
      }
    }
    running = 0;
    return failure;
  }

  static Blocks& self() {
    static Blocks* blocks = new Blocks();
    return *blocks;
  }
};

} // namespace emulator
