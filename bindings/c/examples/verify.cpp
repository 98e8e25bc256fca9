// Do two recordings have the same speaker?
//
//   verify MODEL A B
//
// As verify.c, of files in any format that revox reads.
#include <cmath>
#include <cstdio>
#include <exception>
#include <thread>

#include "revox.hpp"

int main(int count, char **names) try {
  if (count != 4) {
    std::fprintf(stderr, "usage: %s MODEL A B\n", names[0]);
    return 2;
  }
  const auto model = revox::Model::open(names[1]);

  // Both at once: a model may be used by any number of threads.
  revox::Utterance first, second;
  std::exception_ptr failed;
  std::thread other([&] {
    try {
      first = model.embed_file(names[2]);
    } catch (...) {
      failed = std::current_exception();
    }
  });
  try {
    second = model.embed_file(names[3]);
  } catch (...) {
    failed = std::current_exception();
  }
  other.join();
  if (failed) std::rethrow_exception(failed);

  const auto verdict = model.compare(first, second);
  std::printf("score %.9f\n", verdict.score);
  if (!std::isnan(verdict.probability)) std::printf("probability %.9f\n", verdict.probability);
  std::printf("same %d\n", static_cast<int>(verdict.same));
  if (const auto threshold = model.threshold(0.01)) {
    std::printf("same at 1 %% false accepts %d\n", verdict.score >= *threshold);
  }

  try {
    model.embed_file("no such file");
  } catch (const revox::Error &error) {
    return error.status() == REVOX_STATUS_FILE ? 0 : 1;
  }
  return 1;
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
