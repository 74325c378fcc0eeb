// PLYWOOD_EMULATOR_FAIL=cuLaunchKernel:5=719,cuMemAlloc:1=2 makes the fifth launch return 719 and the first allocation 2.
// Each of the libraries has its own copy: a function belongs to one of them.
#pragma once
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace emulator {

class Injection {
  struct Rule {
    std::string function;
    long call;
    int code;
  };
  std::vector<Rule> rules;

public:
  Injection() { set(getenv("PLYWOOD_EMULATOR_FAIL")); }

  void set(const char* text) {
    rules.clear();
    for (const char* p = text; p && *p;) {
      const char* end = strchrnul(p, ',');
      std::string rule(p, end);
      char name[64];
      Rule r;
      if (sscanf(rule.c_str(), "%63[A-Za-z0-9_]:%ld=%d", name, &r.call, &r.code) != 3) {
        fprintf(stderr, "plywood emulator: PLYWOOD_EMULATOR_FAIL has \"%s\", which is no FUNCTION:CALL=CODE\n", rule.c_str());
        abort();
      }
      r.function = name;
      rules.push_back(r);
      p = *end ? end + 1 : end;
    }
  }

  // The code that this call of `function` shall return, or 0. The name may come without its _v2.
  int next(const char* function) {
    int code = 0;
    for (Rule& r : rules) {
      size_t n = r.function.size();
      if (strncmp(function, r.function.c_str(), n) == 0 && (function[n] == 0 || strcmp(function + n, "_v2") == 0) && --r.call == 0) code = r.code;
    }
    return code;
  }
};

// PLYWOOD_EMULATOR_SLOW=bias_act,cublasLtMatmul(BGRADB) makes these kernels and functions seem to take a second more each time.
class Slow {
  std::vector<std::string> names;

public:
  Slow() {
    const char* text = getenv("PLYWOOD_EMULATOR_SLOW");
    for (const char* p = text; p && *p;) {
      const char* end = strchrnul(p, ',');
      names.emplace_back(p, end);
      p = *end ? end + 1 : end;
    }
  }
  bool is(const char* name) const { return std::find(names.begin(), names.end(), name) != names.end(); }
};

} // namespace emulator
