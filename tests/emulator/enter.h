// What a library's functions do first: fail where they were told to. Each of the libraries has its own copy.
#pragma once
#include <mutex>

#include "injection.h"

namespace {

std::mutex mutex;

emulator::Injection& injection() {
  static emulator::Injection rules;
  return rules;
}

} // namespace

#define ENTER()                                              \
  do {                                                       \
    std::lock_guard<std::mutex> lock(mutex);                 \
    if (int code = injection().next(__func__)) return code;  \
  } while (0)
