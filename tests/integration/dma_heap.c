/* /dev/udmabuf and /dev/dma_heap for a process where the kernel has none: buffers are memory files.
 *
 * Preloaded, it answers what libcamera's virtual camera and picamera2 ask of them: linux/udmabuf.h, linux/dma-heap.h
 * and, as there is no cache to be kept in step, linux/dma-buf.h.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int is_heap(const char *path)
{
	return path && (!strcmp(path, "/dev/udmabuf") || !strncmp(path, "/dev/dma_heap/", 14));
}

#define OPEN(name)                                                                        \
	int name(const char *path, int flags, ...)                                        \
	{                                                                                 \
		static int (*real)(const char *, int, ...);                               \
		va_list rest;                                                             \
		va_start(rest, flags);                                                    \
		int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;         \
		va_end(rest);                                                             \
		if (is_heap(path))                                                        \
			return memfd_create("heap", 0);                                   \
		if (!real)                                                                \
			real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);  \
		return real(path, flags, mode);                                           \
	}

OPEN(open)
OPEN(open64)

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, ...);
	va_list rest;
	va_start(rest, request);
	void *argument = va_arg(rest, void *);
	va_end(rest);
	if (request == DMA_HEAP_IOCTL_ALLOC) {
		struct dma_heap_allocation_data *wanted = argument;
		wanted->fd = memfd_create("buffer", 0);
		return ftruncate(wanted->fd, wanted->len);
	}
	if (request == UDMABUF_CREATE)
		return dup(((struct udmabuf_create *)argument)->memfd);
	if (request == DMA_BUF_IOCTL_SYNC || request == DMA_BUF_SET_NAME)
		return 0;
	if (!real)
		real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	return real(fd, request, argument);
}
