//! Recipes that have every option.

/// Every option, except those of one kind of optimizer or loss.
const FULL: &str = r#"
    seed = 1
    init = "m"
    [data]
    train = "a"
    dev = "b"
    trials = "c"
    frames = 50
    passes = 2
    speeds = [1.0, 0.9]
    threads = 1
    cache_mib = 16
    tolerate = 0.01
    shard_mix = 4
    features = "device"
    [data.synth]
    out = "o"
    speakers = 4
    utterances = 4
    seconds = 1.0
    dev_speakers = 4
    seed = 1
    [frontend]
    sample_rate = 16000
    window = "hamming"
    dither = 1.0
    cmn = true
    [augment]
    probability = 0.5
    noise = "n"
    noise_snr = [0.0, 15.0]
    reverb = "r"
    cache_mib = 64
    normalize = true
    [augment.categories.noise]
    snr = [0.0, 15.0]
    mix = [1, 2]
    [augment.categories.music]
    snr = [5.0, 15.0]
    mix = [1, 2]
    [augment.categories.speech]
    snr = [13.0, 20.0]
    mix = [3, 7]
    [augment.spec]
    time_masks = 1
    time_width = 10
    mel_masks = 1
    mel_width = 5
    [model]
    name = "rev1-resnet10"
    width = 8
    mels = 24
    embedding_dim = 16
    pooling = "TSTP"
    two_embedding_layers = false
    [model.reversible]
    blocks = [1, 1, 1, 1]
    streams = "split"
    state = 8
    transition = "merged"
    merge = "concat"
    order = "pre-activation"
    inner = 1.0
    [margin]
    initial = 0.0
    last = 0.2
    increase_start_epoch = 2
    fix_start_epoch = 3
    increase = "exp"
    [schedule]
    initial_lr = 0.1
    final_lr = 0.01
    warm_up_epochs = 1.0
    warm_from_zero = true
    scale_ratio = 1.0
    [schedule.factors]
    projection = 2.0
    [train]
    epochs = 3
    batch_size = 8
    accumulate = 2
    sync_batch_norm = false
    shard_states = true
    patience = 2
    validate_every = 1
    average_last = 1
    freeze = ["projection"]
    execution = "taped"
    release_gradients = false
    weights = "f32"
    precision = "f32"
    checkpoint_every = "15min"
    keep = 2
    [large_margin]
    epochs = 2
    frames = 100
    margin = 0.5
    initial_lr = 0.001
    final_lr = 0.0001
    warm_up_epochs = 1.0
    batch_size = 4
    augment = false
    [quantize]
    method = "mixed"
    bits = 4
    target_bytes = 100000
    layers = "all"
    keep = ["x"]
    small_layers = "refuse"
    update = "lloyd"
    refresh_every = 10
    lloyd_steps = 3
    per_channel = false
    offset = false
    clip = 1.0
    candidates = [1, 2]
    stages = 2
    order = "bits"
    restart_rate = true
    [quantize.sensitivity]
    measure = "error"
    probes = 5
    tolerance = 0.1
    batches = 4
    epsilon = 0.01
    [optimizer.states]
    block_size = 256
    min_size = 4096
    rounding = "nearest"
    [optimizer]
"#;

const SGD: &str = "kind = \"sgd8bit\"\nmomentum = 0.9\ndampening = 0.0\nnesterov = false\n\
                   weight_decay = 1e-4\n";
const ADAM: &str = "kind = \"adam8bit\"\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 1e-8\n\
                    weight_decay = 0.0\nguard = true\n";

const AAM: &str = "[loss]\nkind = \"aam\"\nscale = 32.0\neasy_margin = false\nsub_centers = 2\n\
                   [loss.inter_topk]\nk = 3\npenalty = 0.06\n";
const SPHEREFACE2: &str = "[loss]\nkind = \"sphereface2\"\nscale = 32.0\nform = \"a\"\nt = 3\n\
                           lambda = 0.7\n";

/// The recipes, which differ in optimizer and loss.
pub fn full_recipes() -> [String; 2] {
    [format!("{FULL}{SGD}{AAM}"), format!("{FULL}{ADAM}{SPHEREFACE2}")]
}
