//! Training that goes on on another backend, through a checkpoint file.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use super::training::{Named, gradients, tensors};
use super::{Findings, Subject, small};
use crate::error::{Error, Result};
use crate::losses::HeadConfig;
use crate::nn::PoolingKind;
use crate::optim::Gate;
use crate::train::checkpoint::{Average, State, load, save};
use crate::train::{Identity, OptimizerConfig, Trainee};

/// All tensors after one step on each device of the route, with a checkpoint between any two steps.
fn journey(config: &OptimizerConfig, route: &[&Device]) -> Result<Named> {
    let folder =
        tempfile::tempdir().map_err(|e| Error::Undefined(format!("no temporary folder: {e}")))?;
    let path = folder.path().join("checkpoint.safetensors");
    let start = |device: &Device| {
        Trainee::new(
            &small("rev1-resnet10", PoolingKind::Tstp)?,
            &HeadConfig::default(),
            5,
            device,
            3,
        )
    };
    let mut optimizer = config.init()?;
    let mut trainee = start(route[0])?.train();
    for (i, device) in route.iter().enumerate() {
        if i > 0 {
            save(
                &path,
                &trainee.valid(),
                &optimizer,
                &Average::new(),
                &State::start(Identity::default()),
            )?;
            let (read, state, ..) = load(&path, start(device)?, config)?;
            (trainee, optimizer) = (read.train(), state);
        }
        let (_, gradients) = gradients(&trainee, 32, device);
        let gradients = GradientsParams::from_grads(gradients, &trainee);
        trainee = optimizer.step(0.01, trainee, gradients, Gate::Open(1.0));
    }
    Ok(tensors(&trainee))
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let (here, there) = (&subject.device, &subject.peer);
    for name in ["sgd", "sgd8bit"] {
        let config = OptimizerConfig::named(name)?;
        let wanted = journey(&config, &[there, there, there])?;
        for (what, route) in
            [("away and back", [there, here, there]), ("here and away", [here, there, here])]
        {
            let ours = journey(&config, &route)?;
            findings.all_near(&format!("{name}, {what}"), &ours, &wanted, subject.tolerance.step);
        }
    }
    Ok(())
}
