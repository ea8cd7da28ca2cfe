// How the engine says no inside: an exception that the C interface turns into a status and a message.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <exception>

#include "holdfast.h"

namespace holdfast {

class Failure : public std::exception {
 public:
  __attribute__((format(printf, 3, 4))) Failure(hf_status status, const char* format, ...) : status_(status) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message_, sizeof message_, format, arguments);
    va_end(arguments);
  }
  hf_status status() const { return status_; }
  const char* what() const noexcept override { return message_; }

 private:
  hf_status status_;
  char message_[HF_MESSAGE_SIZE];
};

}  // namespace holdfast
