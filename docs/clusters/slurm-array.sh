#!/bin/bash
# Eight jobs share a suite: each takes the next cell that nobody holds, until every cell has ended.
# sbatch slurm-array.sh study.toml /shared/results; the folder has to be shared by all nodes.
#SBATCH --job-name=study
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=4:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@60

set -u
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-4}"
srun mamlbench suite "$1" --join --results-dir "$2"
code=$?
# 2: interrupted a minute before the time limit. Its cell goes on from the last checkpoint, here or in another job.
if [ "$code" -eq 2 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
