// From a program to a plan: which steps are left, which values are stored, and the packed weights.
#include "plan.h"

#include "failure.h"

namespace holdfast {
namespace {

std::size_t at(std::int64_t position) { return static_cast<std::size_t>(position); }

template <class... Vectors>
std::size_t bytes_of(const Vectors&... vectors) {
  return ((vectors.capacity() * sizeof(typename Vectors::value_type)) + ...);
}

// A linear layer reads through a flattening if its weights can be packed in whole groups of channels.
bool looks_through(const Network& network, int source) {
  const Op& flatten = network.ops[at(source)];
  if (flatten.kind != Kind::kFlatten) return false;
  const Shape& image = network.ops[at(flatten.sources[0])].shape;
  return image.channels % kGroup == 0 && image.height * image.width > 1;
}

void choose_values(Plan& plan) {
  const std::vector<Op>& ops = plan.network.ops;
  plan.values.resize(ops.size());
  std::vector<bool> needed(ops.size(), false);
  needed.back() = true;
  for (const Op& op : ops)
    for (std::size_t i = 0; i < op.sources.size(); ++i)
      if (!(op.kind == Kind::kLinear && i == 0 && looks_through(plan.network, op.sources[0])))
        needed[at(op.sources[i])] = true;
  for (std::size_t position = 0; position < ops.size(); ++position) {
    Value& value = plan.values[position];
    const Op& op = ops[position];
    value.owner = static_cast<int>(position);
    value.stored = needed[position] || op.kind != Kind::kFlatten;
    if (op.kind != Kind::kFlatten) continue;
    const Shape& image = ops[at(op.sources[0])].shape;
    if (image.height * image.width == 1) value.owner = plan.values[at(op.sources[0])].owner;
  }
}

void choose_steps(Plan& plan) {
  for (std::size_t position = 0; position < plan.network.ops.size(); ++position) {
    const Op& op = plan.network.ops[position];
    const Value& value = plan.values[position];
    if (!value.stored || value.owner != static_cast<int>(position)) continue;
    Step step;
    step.position = static_cast<int>(position);
    step.sources = op.sources;
    if (op.kind == Kind::kLinear && looks_through(plan.network, op.sources[0]))
      step.sources[0] = plan.network.ops[at(op.sources[0])].sources[0];
    plan.steps.push_back(std::move(step));
  }
}

}  // namespace

std::size_t Plan::plan_bytes() const {
  std::size_t total = 0;
  for (const auto& [position, sources, law, conv] : steps)
    total += bytes_of(sources, law.multiplier, law.shift, law.ratio, law.wide_ratio, conv.panels, conv.offsets,
                      conv.weights, conv.runs, conv.bias, conv.factor, conv.lift);
  for (const Op& op : network.ops)
    total += bytes_of(op.sources, op.bias, op.factor, op.center, op.low, op.high, op.law.multiplier, op.law.shift);
  return total + bytes_of(steps, values, network.ops);
}

std::size_t Plan::thread_bytes() const {
  return workspace_bytes + at(batch_pixels()) * sizeof(std::int16_t) +
         at(network.ops.back().shape.channels) * sizeof(std::int32_t);
}

Plan make_plan(const std::int32_t* program, std::size_t words, const std::int8_t* weights, std::size_t weight_count,
               const Kernels& kernels) {
  Plan plan;
  plan.network = parse(program, words, weights, weight_count);
  plan.kernels = &kernels;
  choose_values(plan);
  choose_steps(plan);
  lay_out(plan);
  for (Step& step : plan.steps) {
    const Op& op = plan.network.ops[at(step.position)];
    step.law = pack_law(op);
    if (op.kind == Kind::kConv || op.kind == Kind::kLinear) pack_conv(plan, step);
  }
  for (Op& op : plan.network.ops) op.weight = nullptr;
  return plan;
}

}  // namespace holdfast
