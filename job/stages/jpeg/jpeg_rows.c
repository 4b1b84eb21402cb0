/* Rows and columns of a JPEG, decoded by the libjpeg-turbo that Pillow brings, so that the pixels are Pillow's.
 *
 * libjpeg reports an error by a call that must not return, which ctypes cannot give it: hence C. Nothing else is here.
 * The functions of libjpeg are looked up in the library at run time; only its header is needed to compile this.
 * jpeg_rows.py is the one caller, and says what the functions promise.
 */

#include <dlfcn.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#define FUNCTIONS(X)                                                                                                   \
  X(struct jpeg_error_mgr *, jpeg_std_error, (struct jpeg_error_mgr *))                                                \
  X(void, jpeg_CreateDecompress, (j_decompress_ptr, int, size_t))                                                      \
  X(void, jpeg_mem_src, (j_decompress_ptr, const unsigned char *, unsigned long))                                      \
  X(int, jpeg_read_header, (j_decompress_ptr, boolean))                                                                \
  X(boolean, jpeg_start_decompress, (j_decompress_ptr))                                                                \
  X(void, jpeg_crop_scanline, (j_decompress_ptr, JDIMENSION *, JDIMENSION *))                                          \
  X(JDIMENSION, jpeg_skip_scanlines, (j_decompress_ptr, JDIMENSION))                                                   \
  X(JDIMENSION, jpeg_read_scanlines, (j_decompress_ptr, JSAMPARRAY, JDIMENSION))                                       \
  X(boolean, jpeg_finish_decompress, (j_decompress_ptr))                                                               \
  X(void, jpeg_destroy_decompress, (j_decompress_ptr))

#define DECLARE(type, name, arguments) static type(*p_##name) arguments;
FUNCTIONS(DECLARE)

struct rows {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  jmp_buf escape;
  JDIMENSION left;
  unsigned char *unused; /* one row, for what has to be decoded and is not wanted */
};

static void escape(j_common_ptr jpeg) {
  longjmp(((struct rows *)jpeg->client_data)->escape, 1);
}

static void count_warnings(j_common_ptr jpeg, int level) {
  if (level < 0) jpeg->err->num_warnings++;
}

static void say_nothing(j_common_ptr jpeg) {
  (void)jpeg;
}

/* 0, or 1 where the library is not there or lacks a function. */
int rows_load(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return 1;
#define LOOK_UP(type, name, arguments)                                                                                 \
  if (!(*(void **)&p_##name = dlsym(library, #name))) return 1;
  FUNCTIONS(LOOK_UP)
  return 0;
}

void rows_close(struct rows *rows) {
  if (!rows) return;
  p_jpeg_destroy_decompress(&rows->jpeg);
  free(rows->unused);
  free(rows);
}

static int begin(struct rows *rows, const unsigned char *data, size_t size, unsigned width, unsigned height,
                 unsigned left, unsigned right, unsigned top) {
  j_decompress_ptr jpeg = &rows->jpeg;
  if (setjmp(rows->escape)) return 1;
  p_jpeg_CreateDecompress(jpeg, JPEG_LIB_VERSION, sizeof *jpeg);
  p_jpeg_mem_src(jpeg, data, size);
  p_jpeg_read_header(jpeg, TRUE);
  jpeg->out_color_space = JCS_RGB;
  p_jpeg_start_decompress(jpeg);
  if (jpeg->output_width != width || jpeg->output_height != height || jpeg->output_components != 3) return 1;
  rows->left = left;
  if (left > 0 || right < width) {
    JDIMENSION columns = right - left;
    p_jpeg_crop_scanline(jpeg, &rows->left, &columns); /* moves the left edge outwards */
  }
  if (top) p_jpeg_skip_scanlines(jpeg, top);
  return 0;
}

/* Stands before row `top` of an image that has to be `width` by `height`; NULL where anything is odd. The bytes have to
 * outlive what is returned.
 */
struct rows *rows_open(const unsigned char *data, size_t size, unsigned width, unsigned height, unsigned left,
                       unsigned right, unsigned top) {
  if (left >= right || right > width || top >= height) return NULL;
  struct rows *rows = calloc(1, sizeof *rows);
  if (!rows) return NULL;
  rows->jpeg.err = p_jpeg_std_error(&rows->errors);
  rows->errors.error_exit = escape;
  rows->errors.emit_message = count_warnings;
  rows->errors.output_message = say_nothing;
  rows->jpeg.client_data = rows;
  rows->unused = malloc((size_t)width * 3);
  if (!rows->unused || begin(rows, data, size, width, height, left, right, top)) {
    rows_close(rows);
    return NULL;
  }
  return rows;
}

/* The next `count` rows into a canvas as wide as the image, of which only the wanted columns are written. Gives how
 * many there were, -1 for an error.
 */
int rows_read(struct rows *rows, unsigned char *canvas, size_t stride, int count) {
  if (setjmp(rows->escape)) return -1;
  volatile int done = 0;
  while (done < count && rows->jpeg.output_scanline < rows->jpeg.output_height) {
    JSAMPROW several[16];
    int wanted = count - done < 16 ? count - done : 16;
    for (int row = 0; row < wanted; row++) several[row] = canvas + (done + row) * stride + (size_t)rows->left * 3;
    done += p_jpeg_read_scanlines(&rows->jpeg, several, wanted);
  }
  return done;
}

/* Goes through what is left, and gives how often libjpeg warned of the whole file, -1 for an error. */
int rows_finish(struct rows *rows) {
  j_decompress_ptr jpeg = &rows->jpeg;
  if (setjmp(rows->escape)) return -1;
  /* A skip to the very end would read none of it. */
  if (jpeg->output_height - jpeg->output_scanline > 1)
    p_jpeg_skip_scanlines(jpeg, jpeg->output_height - 1 - jpeg->output_scanline);
  while (jpeg->output_scanline < jpeg->output_height) p_jpeg_read_scanlines(jpeg, &rows->unused, 1);
  p_jpeg_finish_decompress(jpeg);
  return (int)jpeg->err->num_warnings;
}
