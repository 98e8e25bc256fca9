/* Seconds of an all-reduce (sum) of COUNT f32 values among all ranks: the least, the median and the
   most of TIMES. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const int count = argc > 1 ? atoi(argv[1]) : 0, times = argc > 2 ? atoi(argv[2]) : 0;
  float *values = count > 0 ? malloc((size_t)count * sizeof *values) : NULL;
  double *seconds = times > 0 ? malloc((size_t)times * sizeof *seconds) : NULL;
  if (!values || !seconds) {
    fprintf(stderr, "usage: link COUNT TIMES\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  for (int i = 0; i < count; i++) values[i] = (float)rank;
  for (int i = -1; i < times; i++) { /* The first one makes connections. */
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = MPI_Wtime();
    MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    double own = MPI_Wtime() - begin, most;
    MPI_Allreduce(&own, &most, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    if (i >= 0) seconds[i] = most;
  }
  qsort(seconds, (size_t)times, sizeof *seconds, by_size);
  if (rank == 0) printf("%.4f %.4f %.4f\n", seconds[0], seconds[times / 2], seconds[times - 1]);
  MPI_Finalize();
  return 0;
}
