/* Batch normalization by a batch's own statistics, weight, bias and ReLU in one, with first and second derivatives.
 *
 *     y = max(0, weight * z + bias),   z = (x - mean) * scale,   scale = 1 / sqrt(variance + eps)   per channel
 *
 * Maps are [n][channels][pixels], contiguous; statistics, weights and biases [channels]; a `weight` of NULL means 1.
 * Tasks are channels too. A group of channels is read from memory once: its sums are computed and its results written
 * while it is in the cache. Sums are taken over the n for each pixel, which fills vectors even if the pixels are few,
 * then over a channel's pixels. A pass over the maps is the same for all weights, which change its factors alone.
 *
 * The notation is that of mamlbench/nn/batch_norm_grad.py: B(g) = scale * (g - mean(g) - z mean(g z)).
 * Compiled twice, with REAL float and double. The order of a sum does not depend on the number of threads.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef REAL real;

typedef struct {
    int64_t n, channels, pixels, threads;
    double eps;
    const int64_t *rows; /* examples of each task, which come first; the others are neither read nor written. NULL: n */
    int64_t per_task;    /* channels of a task */
} Shape;

#define CACHE (1 << 18) /* bytes of maps that stay in the second-level cache */
#define MAPS 5          /* maps that a function reads and writes, at most */
#define FACTORS 8       /* rows of a thread's buffer, each with a value for every pixel of a group */

/* Channels in a group: as many as stay in the cache from the first pass over them to the last. If tasks have numbers of
 * examples of their own, a group has channels of one task alone. */
static int64_t group_size(const Shape *s) {
    int64_t fit = CACHE / (int64_t)sizeof(real) / MAPS / (s->n * s->pixels), most = (1024 + s->pixels - 1) / s->pixels;
    int64_t size = fit < 1 ? 1 : fit < most ? fit : most;
    if (!s->rows) return size;
    if (size > s->per_task) size = s->per_task;
    while (s->per_task % size) size--;
    return size;
}

/* The loops of the three functions are macros because their bodies differ, use the loops' variables by name, and must be
 * inlined for the compiler to vectorize them. Threads divide the groups of channels, so that no two add to one sum.
 *
 *     EACH_GROUP      channels [first, first + group), one thread each
 *     GROUP           sizes of a group: `count` channels; in each example `places` adjacent values, from `start` on; its
 *                     `examples`, and the `total` of a channel's values
 *     EACH_EXAMPLE    examples; `at` is the offset of one's values
 *     EACH_PLACE      values of an example: `at + p` in maps, `p` in the buffer
 *     EACH_CHANNEL    channels of a group: `first + c` in statistics
 */
#define EACH_GROUP                                                                                             \
    _Pragma("omp for schedule(static)") for (int64_t first = 0; first < s->channels; first += group)
#define GROUP                                                                                                  \
    int64_t count = s->channels - first < group ? s->channels - first : group, places = count * s->pixels;     \
    int64_t start = first * s->pixels, examples = s->rows ? s->rows[first / s->per_task] : s->n;               \
    double total = (double)(examples * s->pixels)
#define EACH_EXAMPLE for (int64_t i = 0, at = start; i < examples; i++, at += s->channels * s->pixels)
#define EACH_PLACE _Pragma("omp simd") for (int64_t p = 0; p < places; p++)
#define EACH_CHANNEL for (int64_t c = 0; c < count; c++)

static double sum_of(const real *values, int64_t channel, int64_t pixels) {
    double sum = 0;
    for (int64_t p = channel * pixels; p < (channel + 1) * pixels; p++) sum += values[p];
    return sum;
}

static void fill(real *values, int64_t channel, int64_t pixels, real value) {
    for (int64_t p = channel * pixels; p < (channel + 1) * pixels; p++) values[p] = value;
}

/* Compute y, mean and scale. */
void batch_norm_relu(
    const real *x, const real *weight, const real *bias, real *y, real *mean, real *scale, const Shape *s) {
    int64_t group = group_size(s);
#pragma omp parallel num_threads(s->threads)
    {
        real *restrict sums = malloc(sizeof(real) * FACTORS * group * s->pixels);
        real *restrict by_x = sums + group * s->pixels, *restrict constant = by_x + group * s->pixels;
        EACH_GROUP {
            GROUP;
            memset(sums, 0, sizeof(real) * places);
            EACH_EXAMPLE EACH_PLACE sums[p] += x[at + p];
            EACH_CHANNEL {
                mean[first + c] = (real)(sum_of(sums, c, s->pixels) / total);
                fill(constant, c, s->pixels, mean[first + c]);
            }
            memset(sums, 0, sizeof(real) * places);
            EACH_EXAMPLE EACH_PLACE sums[p] += (x[at + p] - constant[p]) * (x[at + p] - constant[p]);
            EACH_CHANNEL {
                scale[first + c] = (real)(1 / sqrt(sum_of(sums, c, s->pixels) / total + s->eps));
                real factor = weight ? scale[first + c] * weight[first + c] : scale[first + c];
                fill(by_x, c, s->pixels, factor);
                fill(constant, c, s->pixels, bias[first + c] - mean[first + c] * factor);
            }
            EACH_EXAMPLE EACH_PLACE {
                real value = x[at + p] * by_x[p] + constant[p];
                y[at + p] = value < 0 ? 0 : value; /* keeps NaN, which fmax would not */
            }
        }
        free(sums);
    }
}

/* Pull a cotangent of y back: to x, weight * B(g) with g = cotangent if y > 0, else 0; to the weight, sum(g z); to the
 * bias, sum(g). */
void batch_norm_relu_backward(
    const real *cotangent, const real *x, const real *weight, const real *y, const real *mean, const real *scale,
    real *grad_x, real *gz, real *g_sum, const Shape *s) {
    int64_t group = group_size(s), row = group * s->pixels;
#pragma omp parallel num_threads(s->threads)
    {
        real *restrict g_sums = malloc(sizeof(real) * FACTORS * row), *restrict gx_sums = g_sums + row;
        real *restrict center = g_sums + 2 * row, *restrict by_g = g_sums + 3 * row, *restrict by_x = g_sums + 4 * row;
        real *restrict constant = g_sums + 5 * row;
        EACH_GROUP {
            GROUP;
            EACH_CHANNEL fill(center, c, s->pixels, mean[first + c]);
            memset(g_sums, 0, sizeof(real) * 2 * row);
            EACH_EXAMPLE EACH_PLACE {
                real g = y[at + p] <= 0 ? 0 : cotangent[at + p];
                g_sums[p] += g;
                gx_sums[p] += g * (x[at + p] - center[p]);
            }
            EACH_CHANNEL {
                double factor = scale[first + c], g = sum_of(g_sums, c, s->pixels), z = sum_of(gx_sums, c, s->pixels) * factor;
                gz[first + c] = (real)z, g_sum[first + c] = (real)g;
                double x_factor = -factor * factor * z / total;
                if (weight) factor *= weight[first + c], x_factor *= weight[first + c];
                fill(by_g, c, s->pixels, (real)factor);
                fill(by_x, c, s->pixels, (real)x_factor);
                fill(constant, c, s->pixels, (real)(-factor * g / total - x_factor * mean[first + c]));
            }
            EACH_EXAMPLE EACH_PLACE {
                real g = y[at + p] <= 0 ? 0 : cotangent[at + p];
                grad_x[at + p] = g * by_g[p] + x[at + p] * by_x[p] + constant[p];
            }
        }
        free(g_sums);
    }
}

/* Pull cotangents v of grad_x, t of gz and u of g_sum back: to the cotangent of y, weight * B(v) + t z + u if y > 0, else
 * 0; to x, weight times the derivative of B(g), plus t * B(g); to the weight, sum(v B(g)). With a weight of NULL, t and
 * grad_weight are not used. v and grad_x may be the same. */
void batch_norm_relu_double_backward(
    const real *v, const real *t, const real *u, const real *cotangent, const real *x, const real *weight, const real *y,
    const real *mean, const real *scale, const real *gz, const real *g_sum, real *grad_g, real *grad_x,
    real *grad_weight, const Shape *s) {
    int64_t group = group_size(s), row = group * s->pixels;
#pragma omp parallel num_threads(s->threads)
    {
        real *restrict v_sums = malloc(sizeof(real) * FACTORS * row), *restrict vx_sums = v_sums + row;
        real *restrict vg_sums = v_sums + 2 * row, *restrict center = v_sums + 3 * row;
        /* factors of x, v and g in grad_g and in grad_x, and constants; those of grad_g replace the sums, used before */
        real *restrict g_by_x = v_sums, *restrict g_constant = v_sums + row, *restrict g_by_v = v_sums + 2 * row;
        real *restrict x_by_x = v_sums + 4 * row, *restrict x_by_g = v_sums + 5 * row, *restrict x_by_v = v_sums + 6 * row;
        real *restrict x_constant = v_sums + 7 * row;
        EACH_GROUP {
            GROUP;
            EACH_CHANNEL fill(center, c, s->pixels, mean[first + c]);
            memset(v_sums, 0, sizeof(real) * 3 * row);
            EACH_EXAMPLE EACH_PLACE {
                real g = y[at + p] <= 0 ? 0 : cotangent[at + p];
                v_sums[p] += v[at + p];
                vx_sums[p] += v[at + p] * (x[at + p] - center[p]);
                vg_sums[p] += v[at + p] * g;
            }
            EACH_CHANNEL {
                int64_t channel = first + c;
                double factor = scale[channel], minus_scale_squared = -factor * factor, mean_g = g_sum[channel] / total;
                double mean_v = sum_of(v_sums, c, s->pixels) / total, mean_vg = sum_of(vg_sums, c, s->pixels) / total;
                double mean_vz = sum_of(vx_sums, c, s->pixels) * factor / total, mean_gz = gz[channel] / total;
                double x_from_x = minus_scale_squared * factor * (mean_vg - mean_v * mean_g - 3 * mean_gz * mean_vz);
                /* grad_g = g_from_v v + g_from_x (x - mean) + g_offset, and likewise grad_x, with a term of g */
                double g_from_v = factor, g_from_x = minus_scale_squared * mean_vz, g_offset = -factor * mean_v;
                double x_from_g = minus_scale_squared * mean_vz, x_from_v = minus_scale_squared * mean_gz;
                double x_offset = -minus_scale_squared * (mean_vz * mean_g + mean_gz * mean_v);
                if (weight) {
                    double w = weight[channel], t_channel = t[channel];
                    grad_weight[channel] = (real)(factor * total * (mean_vg - mean_v * mean_g - mean_vz * mean_gz));
                    g_from_v *= w, g_from_x = w * g_from_x + t_channel * factor, g_offset *= w;
                    x_from_x = w * x_from_x + t_channel * minus_scale_squared * mean_gz, x_from_g = w * x_from_g + t_channel * factor;
                    x_from_v *= w, x_offset = w * x_offset - t_channel * factor * mean_g;
                }
                fill(g_by_v, c, s->pixels, (real)g_from_v);
                fill(g_by_x, c, s->pixels, (real)g_from_x);
                fill(g_constant, c, s->pixels, (real)(g_offset - g_from_x * mean[channel]) + u[channel]);
                fill(x_by_x, c, s->pixels, (real)x_from_x);
                fill(x_by_g, c, s->pixels, (real)x_from_g);
                fill(x_by_v, c, s->pixels, (real)x_from_v);
                fill(x_constant, c, s->pixels, (real)(x_offset - x_from_x * mean[channel]));
            }
            EACH_EXAMPLE EACH_PLACE {
                real g = cotangent[at + p], value = v[at + p] * g_by_v[p] + x[at + p] * g_by_x[p] + g_constant[p];
                real activation = y[at + p];
                grad_g[at + p] = activation <= 0 ? 0 : value;
                g = activation <= 0 ? 0 : g;
                grad_x[at + p] = x[at + p] * x_by_x[p] + g * x_by_g[p] + v[at + p] * x_by_v[p] + x_constant[p];
            }
        }
        free(v_sums);
    }
}
