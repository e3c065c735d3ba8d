"""How certain a claim must be that is one of many made on the same sealed test set, over time.

Who looks at a test set again and again and goes on from what is seen finds something where there is
nothing. Two things keep the chance that any false claim is ever held below a level, however many
there are. The level is spent: each claim has a share of it, and all shares together are the whole
(Foster and Stine 2008, Alpha-investing; Tian and Ramdas 2021, Online control of the familywise
error rate), whatever the dependence between the tests, which share their images. And a look says no
more than whether its claim is held, so that whoever builds the next model knows of the test set a
few bits; each way the answers may have gone has a share of its own (Blum and Hardt 2015, The
Ladder; Dwork et al. 2015, The reusable holdout). So a decision is valid at any time and for models
built in any way on earlier decisions. No test that bets on the images one after the other
(e-processes, Ramdas et al. 2023) is of use here: the images do not become more, the models do.
"""

import math


def level(before: int, held: int, *, total: float) -> float:
    """The level of the next claim, of which p must be at most.

    With n claims before, of which r were held, it is the total of all claims, such as 0.05, over
    (n + 1)^2, over (r + 1)(r + 2), over the number of ways in which r of n claims can have been
    held. So all ways together have 1 / ((n + 1)(n + 2)) of the total, and all numbers of claims
    together the whole.
    """
    return total / ((before + 1) ** 2 * (held + 1) * (held + 2) * math.comb(before, held))
