/* Convolutions of many tasks, each with filters of its own, and their two derivatives.
 *
 * All three are sums of products,
 *
 *     out[r][m] = sum over k of a[row[r] + at[k]] * b[k][m],
 *
 * where `a` are padded feature maps, read through tables of offsets (so that no patch is copied), and `b` is the other
 * factor, copied once per task so that its columns m are adjacent:
 *
 *     convolve      r: pixels of the outputs     k: input channels and taps    m: output channels
 *     input_grad    r: pixels of the inputs      k: output channels and taps   m: input channels
 *     weight_grad   r: input channels and taps   k: pixels of the outputs      m: output channels
 *
 * With a stride, the pixels of an input form classes that meet different taps; each class is a separate sum.
 *
 * Maps are [n][tasks][channels][height][width], filters [tasks][outputs][channels][height][width], all contiguous.
 * Compiled twice, with REAL float and double. The order of a sum does not depend on the number of threads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef REAL real;

#if defined(__AVX512F__)
#define BYTES 64 /* of a vector */
#define ROWS 8   /* of a tile, with two vectors each: as many as the registers hold */
#elif defined(__AVX__)
#define BYTES 32
#define ROWS 6
#else
#define BYTES 16
#define ROWS 6
#endif
#define LANES (int64_t)(BYTES / sizeof(real))
#define WIDE (2 * LANES) /* columns of a tile, and of a panel of b */
#define BLOCK 96         /* rows that stay in the second-level cache during a pass over the columns; a multiple of ROWS */
#define DEPTH 640        /* terms of a sum that stay there */
#define IMAGES 32        /* images padded at a time */

typedef real vector __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));

typedef struct {
    int64_t n, tasks, channels, outputs;
    int64_t in_height, in_width, out_height, out_width;
    int64_t tap_height, tap_width, stride_height, stride_width, pad_height, pad_width;
    int64_t repeated; /* whether all tasks read one copy of the filters */
    int64_t add;      /* whether to add to the values of the result */
    int64_t threads;
    const int64_t *rows; /* images of each task, which come first; the others are neither read nor written. NULL: n */
} Geometry;

/* Feature maps with a margin of zeros: [n][channels][plane], each plane in rows of `width`. */
typedef struct {
    int64_t top, left, width, plane;
} Margins;

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Buffers begin at a cache line, so that a vector never lies in two; aligned_alloc wants a multiple of it as size. */
static void *allocate(int64_t size) { return aligned_alloc(64, (size_t)ceiling(size + 1, 64) * 64); }
#define BUFFER(type, count) ((type *)allocate((int64_t)sizeof(type) * (count)))

static Margins margins(int64_t top, int64_t left, int64_t height, int64_t width) {
    int64_t plane = ceiling(height * width, 16) * 16;
    return (Margins){top, left, width, plane % 32 ? plane : plane + 16}; /* not a power of 2, with which channels would share cache sets */
}

/* Write the offsets in a block of three dimensions, from the steps along each. */
static void grid(int64_t *offset, int64_t n, int64_t step, int64_t height, int64_t down, int64_t width, int64_t right) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++) *offset++ = i * step + y * down + x * right;
}

/* Copy n maps, `step` values apart, into the middle of zeros. */
static void pad(const real *maps, int64_t step, int64_t n, int64_t channels, int64_t height, int64_t width, Margins to, real *out) {
    memset(out, 0, sizeof(real) * n * channels * to.plane);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < channels; c++) {
            const real *from = maps + i * step + c * height * width;
            real *into = out + (i * channels + c) * to.plane + to.top * to.width + to.left;
            for (int64_t y = 0; y < height; y++)
                for (int64_t x = 0; x < width; x++) into[y * to.width + x] = from[y * width + x];
        }
}

/* Add `terms` products to the sums of at most ROWS rows and WIDE columns. */
static inline __attribute__((always_inline)) void tile(
    const real *a, const int64_t *row, int64_t rows, const int64_t *at, int64_t terms, const real *b, real *sums) {
    const real *from[ROWS];
    vector left[ROWS], right[ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++) {
        from[r] = a + row[r < rows ? r : 0];
        left[r] = right[r] = (vector){0};
    }
    for (int64_t k = 0; k < terms; k++) {
        vector b_left = *(const vector *)(b + k * WIDE), b_right = *(const vector *)(b + k * WIDE + LANES);
        int64_t offset = at[k];
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) {
            real value = from[r][offset];
            left[r] += value * b_left;
            right[r] += value * b_right;
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
        if (r < rows) {
            *(vector *)(sums + r * WIDE) += left[r];
            *(vector *)(sums + r * WIDE + LANES) += right[r];
        }
}

/* Compute the sum at the top of this file for all rows and columns, into out[to[r] + m * step].
 * b: panels of WIDE columns, [panels][terms][WIDE]; sums: a buffer for [panels][BLOCK][WIDE]. */
static void product(
    const real *a, const int64_t *row, const int64_t *to, int64_t rows, const int64_t *at, int64_t terms,
    const real *b, int64_t columns, real *sums, real *out, int64_t step, int64_t add) {
    int64_t panels = ceiling(columns, WIDE);
    for (int64_t first = 0; first < rows; first += BLOCK) {
        int64_t block = least(BLOCK, rows - first);
        memset(sums, 0, sizeof(real) * panels * BLOCK * WIDE);
        for (int64_t k = 0; k < terms; k += DEPTH)
            for (int64_t panel = 0; panel < panels; panel++)
                for (int64_t r = 0; r < block; r += ROWS)
                    tile(a, row + first + r, least(ROWS, block - r), at + k, least(DEPTH, terms - k),
                         b + (panel * terms + k) * WIDE, sums + (panel * BLOCK + r) * WIDE);
        for (int64_t m = 0; m < columns; m++) {
            const real *column = sums + m / WIDE * BLOCK * WIDE + m % WIDE;
            real *into = out + m * step;
            if (add)
                for (int64_t r = 0; r < block; r++) into[to[first + r]] += column[r * WIDE];
            else
                for (int64_t r = 0; r < block; r++) into[to[first + r]] = column[r * WIDE];
        }
    }
}

/* Every thread gets the same number of whole tasks; the remaining tasks are divided among all threads. */
typedef struct {
    int64_t task, first, count; /* first and count: of the images or channels that are divided */
} Part;

static int64_t parts(const Geometry *s) { return s->tasks + s->tasks % s->threads * (s->threads - 1); }

static Part part(const Geometry *s, int64_t number, int64_t size) {
    int64_t whole = s->tasks - s->tasks % s->threads;
    if (number < whole) return (Part){number, 0, size};
    int64_t piece = (number - whole) % s->threads;
    int64_t first = piece * size / s->threads, next = (piece + 1) * size / s->threads;
    return (Part){whole + (number - whole) / s->threads, first, next - first};
}

static int64_t images_of(const Geometry *s, int64_t task) { return s->rows ? s->rows[task] : s->n; }

/* The part of a task's images that is computed, of which there may be none. */
static Part image_part(const Geometry *s, int64_t number) {
    Part mine = part(s, number, s->n);
    mine.count = least(mine.count, images_of(s, mine.task) - mine.first);
    return mine;
}

void convolve(const real *x, const real *w, real *y, const Geometry *s) {
    int64_t in = s->in_height * s->in_width, out = s->out_height * s->out_width;
    int64_t taps = s->tap_height * s->tap_width, terms = s->channels * taps, panels = ceiling(s->outputs, WIDE);
    int64_t images = least(IMAGES, s->n);
    Margins around = margins(s->pad_height, s->pad_width, s->in_height + 2 * s->pad_height, s->in_width + 2 * s->pad_width);
#pragma omp parallel num_threads(s->threads)
    {
        real *a = BUFFER(real, images * s->channels * around.plane), *b = BUFFER(real, panels * WIDE * terms);
        real *sums = BUFFER(real, panels * BLOCK * WIDE);
        int64_t *row = BUFFER(int64_t, images * out), *to = BUFFER(int64_t, images * out), *at = BUFFER(int64_t, terms);
        grid(row, images, s->channels * around.plane, s->out_height, s->stride_height * around.width, s->out_width, s->stride_width);
        grid(to, images, s->tasks * s->outputs * out, 1, 0, out, 1);
        grid(at, s->channels, around.plane, s->tap_height, around.width, s->tap_width, 1);
        memset(b, 0, sizeof(real) * panels * WIDE * terms);
#pragma omp for schedule(dynamic)
        for (int64_t number = 0; number < parts(s); number++) {
            Part mine = image_part(s, number);
            const real *filters = w + (s->repeated ? 0 : mine.task) * s->outputs * terms;
            for (int64_t m = 0; m < s->outputs; m += WIDE)
                for (int64_t k = 0; k < terms; k++)
                    for (int64_t j = 0; j < least(WIDE, s->outputs - m); j++)
                        b[m * terms + k * WIDE + j] = filters[(m + j) * terms + k];
            for (int64_t first = mine.first; first < mine.first + mine.count; first += images) {
                int64_t n = least(images, mine.first + mine.count - first), image = first * s->tasks + mine.task;
                pad(x + image * s->channels * in, s->tasks * s->channels * in, n, s->channels, s->in_height, s->in_width, around, a);
                product(a, row, to, n * out, at, terms, b, s->outputs, sums, y + image * s->outputs * out, out, s->add);
            }
        }
        free(a), free(b), free(sums), free(row), free(at), free(to);
    }
}

/* Write the taps that the pixels of a class meet; return how many they are. */
static int64_t taps_of(const Geometry *s, int64_t class, int64_t *tap) {
    int64_t count = 0;
    for (int64_t h = class / s->stride_width; h < s->tap_height; h += s->stride_height)
        for (int64_t v = class % s->stride_width; v < s->tap_width; v += s->stride_width) tap[count++] = h * s->tap_width + v;
    return count;
}

/* The first row or column of the inputs in that class. */
static int64_t begin(int64_t class, int64_t padding, int64_t stride) { return (class + stride * padding - padding) % stride; }

void input_grad(const real *g, const real *w, real *x, const Geometry *s) {
    int64_t in = s->in_height * s->in_width, out = s->out_height * s->out_width;
    int64_t taps = s->tap_height * s->tap_width, panels = ceiling(s->channels, WIDE), classes = s->stride_height * s->stride_width;
    int64_t images = least(IMAGES, s->n);
    Margins around = margins(s->tap_height, s->tap_width, (s->in_height + s->pad_height) / s->stride_height + 1 + s->tap_height,
                             (s->in_width + s->pad_width) / s->stride_width + 1 + s->tap_width);
#pragma omp parallel num_threads(s->threads)
    {
        real *a = BUFFER(real, images * s->outputs * around.plane), *b = BUFFER(real, panels * WIDE * s->outputs * taps);
        real *sums = BUFFER(real, panels * BLOCK * WIDE);
        int64_t *row = BUFFER(int64_t, images * in), *to = BUFFER(int64_t, images * in);
        int64_t *at = BUFFER(int64_t, s->outputs * taps), *tap = BUFFER(int64_t, taps);
        memset(b, 0, sizeof(real) * panels * WIDE * s->outputs * taps);
#pragma omp for schedule(dynamic)
        for (int64_t number = 0; number < parts(s); number++) {
            Part mine = image_part(s, number);
            const real *filters = w + (s->repeated ? 0 : mine.task) * s->outputs * s->channels * taps;
            real *panel = b; /* of all classes, one after the other */
            for (int64_t class = 0; class < classes; class++) {
                int64_t count = taps_of(s, class, tap);
                for (int64_t m = 0; m < s->channels; m += WIDE)
                    for (int64_t o = 0; o < s->outputs; o++)
                        for (int64_t j = 0; j < count; j++, panel += WIDE)
                            for (int64_t i = 0; i < least(WIDE, s->channels - m); i++)
                                panel[i] = filters[(o * s->channels + m + i) * taps + tap[j]];
            }
            for (int64_t first = mine.first; first < mine.first + mine.count; first += images) {
                int64_t n = least(images, mine.first + mine.count - first), image = first * s->tasks + mine.task;
                pad(g + image * s->outputs * out, s->tasks * s->outputs * out, n, s->outputs, s->out_height, s->out_width, around, a);
                panel = b;
                for (int64_t class = 0; class < classes; class++) {
                    int64_t rows = 0, count = taps_of(s, class, tap), terms = s->outputs * count;
                    for (int64_t o = 0; o < s->outputs; o++)
                        for (int64_t j = 0; j < count; j++)
                            at[o * count + j] = o * around.plane - tap[j] / s->tap_width / s->stride_height * around.width -
                                                tap[j] % s->tap_width / s->stride_width;
                    int64_t top = begin(class / s->stride_width, s->pad_height, s->stride_height);
                    int64_t left = begin(class % s->stride_width, s->pad_width, s->stride_width);
                    for (int64_t i = 0; i < n; i++)
                        for (int64_t h = top; h < s->in_height; h += s->stride_height)
                            for (int64_t v = left; v < s->in_width; v += s->stride_width) {
                                row[rows] = i * s->outputs * around.plane + (v + s->pad_width) / s->stride_width + around.left +
                                            ((h + s->pad_height) / s->stride_height + around.top) * around.width;
                                to[rows++] = i * s->tasks * s->channels * in + h * s->in_width + v;
                            }
                    product(a, row, to, rows, at, terms, panel, s->channels, sums, x + image * s->channels * in, in, s->add);
                    panel += panels * WIDE * terms;
                }
            }
        }
        free(a), free(b), free(sums), free(row), free(at), free(to), free(tap);
    }
}

void weight_grad(const real *g, const real *x, real *w, const Geometry *s) {
    int64_t in = s->in_height * s->in_width, out = s->out_height * s->out_width, most = s->n * out;
    int64_t taps = s->tap_height * s->tap_width, panels = ceiling(s->outputs, WIDE);
    Margins around = margins(s->pad_height, s->pad_width, s->in_height + 2 * s->pad_height, s->in_width + 2 * s->pad_width);
#pragma omp parallel num_threads(s->threads)
    {
        real *a = BUFFER(real, s->n * s->channels * around.plane), *b = BUFFER(real, panels * WIDE * most);
        real *sums = BUFFER(real, panels * BLOCK * WIDE);
        int64_t *row = BUFFER(int64_t, s->channels * taps), *to = BUFFER(int64_t, s->channels * taps), *at = BUFFER(int64_t, most);
        grid(row, s->channels, around.plane, s->tap_height, around.width, s->tap_width, 1);
        grid(to, 1, 0, s->channels, taps, taps, 1);
        memset(b, 0, sizeof(real) * panels * WIDE * most);
#pragma omp for schedule(dynamic)
        for (int64_t number = 0; number < parts(s); number++) {
            Part mine = part(s, number, s->channels);
            int64_t n = images_of(s, mine.task), terms = n * out;
            grid(at, n, mine.count * around.plane, s->out_height, s->stride_height * around.width, s->out_width, s->stride_width);
            pad(x + (mine.task * s->channels + mine.first) * in, s->tasks * s->channels * in, n, mine.count, s->in_height,
                s->in_width, around, a);
            for (int64_t m = 0; m < s->outputs; m += WIDE)
                for (int64_t i = 0; i < n; i++) {
                    const real *maps = g + ((i * s->tasks + mine.task) * s->outputs + m) * out;
                    for (int64_t j = 0; j < least(WIDE, s->outputs - m); j++)
                        for (int64_t p = 0; p < out; p++)
                            b[m * terms + (i * out + p) * WIDE + j] = maps[j * out + p];
                }
            product(a, row, to, mine.count * taps, at, terms, b, s->outputs, sums,
                    w + (mine.task * s->outputs * s->channels + mine.first) * taps, s->channels * taps, s->add);
        }
        free(a), free(b), free(sums), free(row), free(at), free(to);
    }
}
