// revox for C++17: models that free themselves, and errors as exceptions. It is a header alone,
// over revox.h; what that says of threads and memory holds here.
#ifndef REVOX_HPP
#define REVOX_HPP

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "revox.h"

namespace revox {

// What the library says of a call that failed.
class Error : public std::runtime_error {
 public:
  explicit Error(RevoxStatus status) : std::runtime_error(revox_last_error()), status_(status) {}
  RevoxStatus status() const noexcept { return status_; }

 private:
  RevoxStatus status_;
};

inline void check(RevoxStatus status) {
  if (status != REVOX_STATUS_OK) throw Error(status);
}

// A recording that was heard.
struct Utterance {
  std::vector<float> embedding;
  RevoxQuality quality{};
};

// A model. Copies are the same model, which ends with the last of them.
class Model {
 public:
  static Model open(const std::string &path) {
    RevoxModel *model = nullptr;
    check(revox_open(path.c_str(), &model));
    return Model(model);
  }

  static Model from_bytes(const std::uint8_t *bytes, std::size_t count) {
    RevoxModel *model = nullptr;
    check(revox_open_bytes(bytes, count, &model));
    return Model(model);
  }

  // The small model inside the library.
  static Model shipped() {
    RevoxModel *model = nullptr;
    check(revox_open_shipped(&model));
    return Model(model);
  }

  std::size_t dim() const { return revox_dim(get()); }
  std::uint32_t sample_rate() const { return revox_sample_rate(get()); }
  std::string name() const { return revox_name(get()); }
  std::string hash() const { return revox_hash(get()); }

  // Samples of one channel, full scale = 1.
  Utterance embed(const float *samples, std::size_t count, std::uint32_t rate) const {
    Utterance made = room();
    check(revox_embed(get(), samples, count, rate, made.embedding.data(), made.embedding.size(),
                      &made.quality));
    return made;
  }

  // Samples of one channel, full scale = 32768.
  Utterance embed(const std::int16_t *samples, std::size_t count, std::uint32_t rate) const {
    Utterance made = room();
    check(revox_embed_int16(get(), samples, count, rate, made.embedding.data(),
                            made.embedding.size(), &made.quality));
    return made;
  }

  Utterance embed_file(const std::string &path, std::int32_t channel = REVOX_ONLY_CHANNEL) const {
    Utterance made = room();
    check(revox_embed_file(get(), path.c_str(), channel, made.embedding.data(),
                           made.embedding.size(), &made.quality));
    return made;
  }

  double score(const std::vector<float> &first, const std::vector<float> &second) const {
    double score = 0;
    check(revox_score(get(), first.data(), second.data(), shared_size(first, second), &score));
    return score;
  }

  RevoxVerdict compare(const Utterance &first, const Utterance &second) const {
    RevoxVerdict verdict{};
    check(revox_compare(get(), first.embedding.data(), &first.quality, second.embedding.data(),
                        &second.quality, shared_size(first.embedding, second.embedding),
                        &verdict));
    return verdict;
  }

  // The score from which on it is the same speaker, or nothing if the model does not store it.
  std::optional<double> threshold(double false_accept_rate = REVOX_EQUAL_ERROR) const {
    double threshold = 0;
    RevoxStatus status = revox_threshold(get(), false_accept_rate, &threshold);
    if (status == REVOX_STATUS_ABSENT) return std::nullopt;
    check(status);
    return threshold;
  }

 private:
  // Model numbers fit a shared pointer: nobody reads where they point to.
  explicit Model(RevoxModel *model) : model_(model, revox_free) {}

  const RevoxModel *get() const { return model_.get(); }

  Utterance room() const {
    Utterance made;
    made.embedding.resize(dim());
    return made;
  }

  // Different lengths become one that no model has.
  static std::size_t shared_size(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() ? a.size() : 0;
  }

  std::shared_ptr<RevoxModel> model_;
};

}  // namespace revox

#endif
