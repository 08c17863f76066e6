#!/usr/bin/env bash
# One run on nodes of a Slurm cluster: a Ray head and a worker on the first node, a worker on each other one.
#
#   sbatch deploy/slurm.sh job.yaml /shared/runs/job
#
# Submitted again, or requeued by Slurm, it continues the run. testbudget and Ray must be installed on a file
# system that all nodes see. The run directory may be a URL such as s3://bucket/runs/job; on a network file
# system the event log is slower than on a local disk.
#SBATCH --job-name=testbudget
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail

job=${1:?a job file} run=${2:?a run directory or URL}
port=$((20000 + SLURM_JOB_ID % 20000))
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}'):$port
gpus=${SLURM_GPUS_ON_NODE:-0} cores=${SLURM_CPUS_ON_NODE:?}

# Each `srun` keeps its node's part of the cluster until the job ends. One core of the head is the driver's.
srun --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --block --port="$port" --num-cpus=$((cores - 1)) --num-gpus="$gpus" --disable-usage-stats &
sleep 20
if ((SLURM_JOB_NUM_NODES > 1)); then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
        ray start --address="$address" --block --num-cpus="$cores" --num-gpus="$gpus" --disable-usage-stats &
fi

# The driver runs on the head's node. SIGTERM, two minutes before the time is up, lets it end in order.
RAY_ADDRESS=$address testbudget run "$job" --out "$run" --or-resume &
driver=$!
trap 'kill -TERM "$driver"' TERM
code=0
wait "$driver" || code=$?
wait "$driver" 2> /dev/null || true  # the first wait ends with the signal
((code == 143 || code == 130)) && scontrol requeue "$SLURM_JOB_ID"
exit "$code"
