/* The C interface of the native integer engine: plan an integer network, then label noisy copies of images.
 *
 * A network arrives as a program of 32-bit words and a block of 8-bit weights (src/parse.cc has the grammar). Both are
 * treated as hostile: whatever they hold, the answer is a plan that obeys law version 1 or a status. No function
 * throws, prints, or keeps a pointer of the caller's. A plan may be used by several threads at once.
 */
#ifndef HOLDFAST_H
#define HOLDFAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum hf_status {
  HF_OK = 0,
  HF_BAD_ARGUMENT = 1,     /* a pointer, count or length that the function does not take */
  HF_BAD_PROGRAM = 2,      /* the words are no program: too short, unknown operation, left-over words or weights */
  HF_BAD_NETWORK = 3,      /* shapes do not fit, a number is out of range, or an overflow cannot be excluded */
  HF_UNKNOWN_ISA = 4,      /* no such instruction set, or this machine or build does not have it */
  HF_SELF_TEST_FAILED = 5, /* the instruction set's kernels gave a wrong answer on this machine */
  HF_OUT_OF_MEMORY = 6,    /* the network's activations or weights do not fit */
  HF_NO_THREADS = 7,       /* the system gives no further threads */
  HF_INTERNAL = 8          /* a defect of the engine */
};

enum { HF_MESSAGE_SIZE = 256 };

typedef struct hf_plan hf_plan;
typedef struct hf_noise hf_noise;

/* Number of instruction sets this build knows; name of one (NULL beyond the last); whether this machine has it. */
int hf_isa_count(void);
const char* hf_isa_name(int isa);
int hf_isa_supported(int isa);

/* Run the known answers of an instruction set. */
enum hf_status hf_isa_self_test(int isa, char message[HF_MESSAGE_SIZE]);

/* Validate a program and prepare it. isa: a name, or NULL for the fastest one here. Each is self-tested at first use;
 * NULL passes over those that fail. */
enum hf_status hf_plan_create(const int32_t* program, size_t words, const int8_t* weights, size_t weight_count,
                              const char* isa, hf_plan** plan, char message[HF_MESSAGE_SIZE]);
void hf_plan_destroy(hf_plan* plan);

const char* hf_plan_isa(const hf_plan* plan);
/* Channels, height and width of an image. */
void hf_plan_shape(const hf_plan* plan, int32_t shape[3]);
int32_t hf_plan_classes(const hf_plan* plan);
/* Bytes of the packed network (once), and of what a thread needs while it runs: activations, pixels, logits. */
void hf_plan_memory(const hf_plan* plan, size_t* plan_bytes, size_t* thread_bytes);

/* Logits of count int16 images (channels, height, width): count x classes. labels may be NULL, logits may be NULL. */
enum hf_status hf_run(const hf_plan* plan, const int16_t* images, size_t count, int threads, int32_t* logits,
                      uint16_t* labels, char message[HF_MESSAGE_SIZE]);

/* A noise law: value = low + #{thresholds <= u} for a 128-bit uniform u; thresholds are 4 words, the highest first. */
enum hf_status hf_noise_create(int32_t low, const uint32_t* thresholds, size_t count, hf_noise** noise,
                               char message[HF_MESSAGE_SIZE]);
void hf_noise_destroy(hf_noise* noise);

/* The noise of samples start .. start+count-1 at a Philox key: count x dimension. */
void hf_noise_fill(const hf_noise* noise, uint32_t k0, uint32_t k1, uint64_t start, size_t count, size_t dimension,
                   int16_t* out);

/* Label noisy copies start .. start+count-1 of one uint8 image and add them to counts (int64, one per class).
 * clip: noisy pixels are clipped to 0..255. labels may be NULL, counts may be NULL. */
enum hf_status hf_label_noisy(const hf_plan* plan, const hf_noise* noise, const uint8_t* image, uint32_t k0,
                              uint32_t k1, uint64_t start, size_t count, int clip, int threads, uint16_t* labels,
                              int64_t* counts, char message[HF_MESSAGE_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
