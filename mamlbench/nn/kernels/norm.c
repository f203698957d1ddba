/* Batch normalization by a batch's own statistics, a weight, a bias and a ReLU in one, and their first two derivatives.
 *
 *     y = max(0, weight * z + bias),   z = (x - mean) * scale,   scale = 1 / sqrt(variance + eps)   per channel
 *
 * Maps are [n][channels][pixels], contiguous; statistics, weights and biases [channels]; `weight` may be NULL: 1. Tasks
 * are channels too. A few channels are read from memory once: their sums are taken and their results written while they
 * lie in the cache. Sums are taken place by place over the n, which fills vectors however few the pixels are, then over
 * a channel's pixels. So a pass over the maps is the same whatever the weights are: they change its factors alone.
 *
 * The notation is that of mamlbench/nn/batch_norm_grad.py: B(g) = scale * (g - mean(g) - z mean(g z)).
 * Compiled twice, with REAL float and double. A channel is summed in the same order whatever the number of threads is.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef REAL real;

typedef struct {
    int64_t n, channels, pixels, threads;
    double eps;
} Shape;

#define CACHE (1 << 18) /* bytes of maps that stay in the second cache */
#define MAPS 5          /* that a function reads and writes */
#define FACTORS 8       /* rows of a buffer, with a value for each place */

/* How many channels are computed together: as many as stay in the cache from the first pass over them to the last. */
static int64_t group_size(const Shape *s) {
    int64_t fit = CACHE / (int64_t)sizeof(real) / MAPS / (s->n * s->pixels), most = (1024 + s->pixels - 1) / s->pixels;
    return fit < 1 ? 1 : fit < most ? fit : most;
}

/* The loops that the three functions share, as macros: their bodies differ, use the loops' variables by name, and must be
 * inlined for the compiler to vectorize them. Threads divide the groups of channels, so that no two add to one sum.
 *
 *     EACH_GROUP      channels [first, first + group), one thread each
 *     GROUP           of a group: its channels `count`, and `places` values that lie beside each other in each of the n,
 *                     from `start` on
 *     EACH_EXAMPLE    of the n: `at` is where its values begin
 *     EACH_PLACE      a value: `at + p` in maps, `p` in the buffer
 *     EACH_CHANNEL    a channel: `first + c` in statistics
 */
#define EACH_GROUP                                                                                             \
    _Pragma("omp for schedule(static)") for (int64_t first = 0; first < s->channels; first += group)
#define GROUP                                                                                                  \
    int64_t count = s->channels - first < group ? s->channels - first : group, places = count * s->pixels;     \
    int64_t start = first * s->pixels
#define EACH_EXAMPLE for (int64_t i = 0, at = start; i < s->n; i++, at += s->channels * s->pixels)
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

/* y, mean and scale */
void batch_norm_relu(
    const real *x, const real *weight, const real *bias, real *y, real *mean, real *scale, const Shape *s) {
    int64_t group = group_size(s);
    double total = (double)(s->n * s->pixels);
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
                y[at + p] = value < 0 ? 0 : value; /* what is not a number stays so */
            }
        }
        free(sums);
    }
}

/* What a cotangent of y sends to x, which is weight * B(g) with g = cotangent where y > 0; to the weight, which is
 * sum(g z); and to the bias, which is sum(g). */
void batch_norm_relu_backward(
    const real *cotangent, const real *x, const real *weight, const real *y, const real *mean, const real *scale,
    real *to_x, real *gz, real *g_sum, const Shape *s) {
    int64_t group = group_size(s), row = group * s->pixels;
    double total = (double)(s->n * s->pixels);
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
                double along_x = -factor * factor * z / total;
                if (weight) factor *= weight[first + c], along_x *= weight[first + c];
                fill(by_g, c, s->pixels, (real)factor);
                fill(by_x, c, s->pixels, (real)along_x);
                fill(constant, c, s->pixels, (real)(-factor * g / total - along_x * mean[first + c]));
            }
            EACH_EXAMPLE EACH_PLACE {
                real g = y[at + p] <= 0 ? 0 : cotangent[at + p];
                to_x[at + p] = g * by_g[p] + x[at + p] * by_x[p] + constant[p];
            }
        }
        free(g_sums);
    }
}

/* What cotangents v of to_x, t of gz and u of g_sum send to the cotangent of y, which is weight * B(v) + t z + u where
 * y > 0; to x, which is weight times B's derivative, plus t * B(g); and to the weight, which is sum(v B(g)). With a weight
 * of NULL, t and to_weight are not used. v and to_x may be the same. */
void batch_norm_relu_double_backward(
    const real *v, const real *t, const real *u, const real *cotangent, const real *x, const real *weight, const real *y,
    const real *mean, const real *scale, const real *gz, const real *g_sum, real *to_cotangent, real *to_x,
    real *to_weight, const Shape *s) {
    int64_t group = group_size(s), row = group * s->pixels;
    double total = (double)(s->n * s->pixels);
#pragma omp parallel num_threads(s->threads)
    {
        real *restrict v_sums = malloc(sizeof(real) * FACTORS * row), *restrict vx_sums = v_sums + row;
        real *restrict vg_sums = v_sums + 2 * row, *restrict center = v_sums + 3 * row;
        /* of the two results: factors of x, v and g, and what is added; sums are not needed any more then */
        real *restrict x_back = v_sums, *restrict back = v_sums + row, *restrict v_back = v_sums + 2 * row;
        real *restrict by_x = v_sums + 4 * row, *restrict by_g = v_sums + 5 * row, *restrict by_v = v_sums + 6 * row;
        real *restrict constant = v_sums + 7 * row;
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
                double factor = scale[channel], variance = -factor * factor, mean_g = g_sum[channel] / total;
                double mean_v = sum_of(v_sums, c, s->pixels) / total, mean_vg = sum_of(vg_sums, c, s->pixels) / total;
                double mean_vz = sum_of(vx_sums, c, s->pixels) * factor / total, mean_gz = gz[channel] / total;
                double bend = variance * factor * (mean_vg - mean_v * mean_g - 3 * mean_gz * mean_vz);
                /* of the cotangent's share, v_factor v + x_factor (x - mean) + shift; of that of x, likewise */
                double v_factor = factor, x_factor = variance * mean_vz, shift = -factor * mean_v;
                double g_bend = variance * mean_vz, v_bend = variance * mean_gz;
                double shift_bend = -variance * (mean_vz * mean_g + mean_gz * mean_v);
                if (weight) {
                    double w = weight[channel], along = t[channel];
                    to_weight[channel] = (real)(factor * total * (mean_vg - mean_v * mean_g - mean_vz * mean_gz));
                    v_factor *= w, x_factor = w * x_factor + along * factor, shift *= w;
                    bend = w * bend + along * variance * mean_gz, g_bend = w * g_bend + along * factor;
                    v_bend *= w, shift_bend = w * shift_bend - along * factor * mean_g;
                }
                fill(v_back, c, s->pixels, (real)v_factor);
                fill(x_back, c, s->pixels, (real)x_factor);
                fill(back, c, s->pixels, (real)(shift - x_factor * mean[channel]) + u[channel]);
                fill(by_x, c, s->pixels, (real)bend);
                fill(by_g, c, s->pixels, (real)g_bend);
                fill(by_v, c, s->pixels, (real)v_bend);
                fill(constant, c, s->pixels, (real)(shift_bend - bend * mean[channel]));
            }
            EACH_EXAMPLE EACH_PLACE {
                real g = cotangent[at + p], to_g = v[at + p] * v_back[p] + x[at + p] * x_back[p] + back[p];
                real on = y[at + p];
                to_cotangent[at + p] = on <= 0 ? 0 : to_g;
                g = on <= 0 ? 0 : g;
                to_x[at + p] = x[at + p] * by_x[p] + g * by_g[p] + v[at + p] * by_v[p] + constant[p];
            }
        }
        free(v_sums);
    }
}
