"""Networks and flow matching. Pure functions of tensors: no clocks, no threads, no stream state.

Glossary (the paper's symbols on the left, the words used in this code on the right):

    x_t         noisy motion                  [B, T, D]   at noise level sigma
    x, x_0      clean motion                  [B, T, D]
    epsilon     noise                         [B, T, D]
    v           velocity = noise - clean      [B, T, D]   what the transformer predicts
    sigma       noise level, 1 noise … 0 clean
    t, tau      timestep, 1000 * sigma
    r_s         reference motion              [B, D]      the portrait's own motion
    w_a, w_u    avatar / user audio features  [B, T, A]
    m           user motion                   [B, T, D]
    c           condition                     [B, T, H]   all of the above, embedded
    N, l, L     block, look-ahead and window lengths in frames

B batch, T frames, D motion width, A audio feature width, H hidden width.
"""
