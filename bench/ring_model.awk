# What a pass over one long prompt takes on P ranks: the model of SCALING.md.
#   awk -f bench/ring_model.awk [-v n=131072 -v L=32 -v C=4096 -v H=32 -v K=8 -v d=128 -v F=14336 -v V=128256
#                                -v g=5e11 -v b=1.25e10 -v a=5e-6 -v w=0.17 -v s=256]
# n tokens, L layers, width C, H heads over K key/value heads of d, gated MLP of F, vocabulary V; g flop/s of a rank,
# b bytes/s of its link, a seconds a message, w what the ring adds to the attention, s bytes of a head's metric states.
function given(v, otherwise) { return v == "" ? otherwise : v }
function log2(x) { return log(x) / log(2) }
BEGIN {
    n = given(n, 131072); L = given(L, 32); C = given(C, 4096); H = given(H, 32); K = given(K, 8); d = given(d, 128)
    F = given(F, 14336); V = given(V, 128256); g = given(g, 5e11); b = given(b, 1.25e10); a = given(a, 5e-6)
    w = given(w, 0.17); s = given(s, 256)
    printf "ranks  compute s  MiB/rank/layer  net s  not hidden s  messages s  total s  speedup  efficiency  GiB/rank\n"
    for (P = 1; P <= 64; P *= 2) {
        rows = 2 * n / P * (2 * C * H * d + 2 * C * K * d + 3 * C * F)
        attn = 2 * n * n / P * H * d * (P > 1 ? 1 + w : 1)
        bytes = (P - 1) / P * n * K * 2 * d * 4
        net = bytes / b
        open = net > attn / g ? net - attn / g : 0
        messages = P > 1 ? (P - 1) * a + 4 * log2(P) * a + H * log2(P) * 2 * (a + s / b) : 0
        total = L * ((rows + attn) / g + open + messages) + 2 * n / P * C * V / g
        if (P == 1)
            alone = total
        memory = n / P * 4 * (2 * C + 2 * H * d + 3 * K * 2 * d + 12 * H) / 2 ^ 30
        printf "%5d  %9.1f  %14.1f  %5.2f  %12.2f  %10.3f  %7.1f  %7.2f  %9.1f%%  %8.2f\n", P,
            L * (rows + attn) / g + 2 * n / P * C * V / g, bytes / 2 ^ 20, L * net, L * open, L * messages, total, alone / total,
            100 * alone / total / P, memory
    }
}
