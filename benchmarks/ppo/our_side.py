"""Our side of the comparison: the PPO trainer that the service runs, stepped by the parent."""

import argparse
import json
import sys
import time
from pathlib import Path

from rlaif.config import GenerationConfig, PpoConfig, hide_model_hub_noise

hide_model_hub_noise()

from side import Side
from worlds import read_shape
from rlaif.records import Message
from rlaif.stages.ppo import PpoJob
from rlaif.stages.ppo.trainer import PpoTrainer

p=argparse.ArgumentParser(); p.add_argument("world",type=Path); p.add_argument("--precision",default="bfloat16"); p.add_argument("--updates",type=int); p.add_argument("--profile",action="store_true"); a=p.parse_args()
shape=read_shape(a.world)
prompts=json.loads((a.world/"prompts.json").read_text())
words=lambda ids: " ".join(f"w{i}" for i in ids)
S=PpoConfig(updates=a.updates,rollout_batch=shape.batch,minibatch=shape.batch,micro_batch=shape.batch,epochs=shape.epochs,learning_rate=1e-7,value_learning_rate=1e-7,precision=a.precision,kl_control="fixed",kl_beta=0.05,kl_early_stop=1e9,max_grad_norm=1e9,reference="base")
job=PpoJob(policy=str(a.world/"policy"),reference=str(a.world/"policy"),reward_model=a.world/"reward",conversations=tuple((Message(role="user",content=words(q)),) for q in prompts),generation=GenerationConfig(max_tokens=shape.response),ppo=S,seed=1,device="cpu",missing_eos_score=None,beta=0.05,output=a.world/"out",work=a.world/"work")
tr=PpoTrainer(job)
side=Side()
side.ready()
n=0
while side.wait():
    if a.profile and n==2:
        import cProfile,pstats; c=cProfile.Profile(); c.enable(); tr.update(); c.disable(); pstats.Stats(c,stream=sys.stderr).sort_stats("cumulative").print_stats(45)
    elif a.profile and n==1:
        from torch.profiler import profile, ProfilerActivity
        with profile(activities=[ProfilerActivity.CPU]) as pr: tr.update()
        print(pr.key_averages().table(sort_by="self_cpu_time_total",row_limit=30,max_name_column_width=40),file=sys.stderr)
    else: tr.update()
    side.done(length=tr.metrics and next(m.value for m in reversed(tr.metrics) if m.name=="length"))
    n+=1
