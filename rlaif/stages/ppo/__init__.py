"""PPO with KL control: from an incumbent, a reward model and prompts to a challenger.

What differs from the textbook (Schulman et al. 2017; Ziegler et al. 2019):

- values are read off a branch of the policy: upper blocks of their own, which go on from what its
  lower ones said in the policy's pass, and send them no gradient; ``ppo.critic`` may put the value
  head on the policy's trunk instead, or on a trunk of its own, which is a second pass;
- log-probs and values are kept from sampling, so ratios are those to the very distribution that
  was sampled from, and no pass of the policy is spent on computing them again;
- rewards are not whitened, since the reward model is already re-centred to mean 0 and deviation 1
  on the reference policy's answers;
- every loss is divided by the tokens of the whole optimiser step, so how a minibatch is cut into
  micro-batches changes nothing.
"""

from rlaif.stages.ppo.job import PpoJob
from rlaif.stages.ppo.running import train_ppo
from rlaif.stages.supervised import Example

__all__ = ["Example", "PpoJob", "train_ppo"]
