//! Optimizers by name, as recipes and the command line choose them.

use burn::tensor::Bytes;
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};
use crate::optim::{
    Adam8bitConfig, AdamConfig, AdamW8bitConfig, AdamWConfig, Rows, Settings, Sgd8bitConfig,
    SgdConfig, Stepper,
};

/// The table of optimizers. A row holds a variant with its settings, the name in recipes, and the
/// name of the optimizer with the same states in 32 bits, which is its own if it has those.
macro_rules! optimizers {
    ($(
        $(#[$doc:meta])*
        $variant:ident($config:ty), $name:literal, $whole:expr;
    )+) => {
        /// Which optimizer, with its settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum OptimizerConfig {
            $(
                $(#[$doc])*
                #[serde(rename = $name)]
                $variant($config),
            )+
        }

        impl OptimizerConfig {
            /// Names that recipes and `--optimizer` take.
            pub const NAMES: [&str; [$($name),+].len()] = [$($name),+];

            /// The name in recipes.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            /// The name of the optimizer with the same states in 32 bits: its own if it has those,
            /// `None` if there is no such optimizer.
            pub fn whole(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant(_) => $whole,)+
                }
            }

            fn settings(&self) -> &dyn Settings {
                match self {
                    $(Self::$variant(config) => config,)+
                }
            }
        }
    };
}

optimizers! {
    /// Stochastic gradient descent. Weight decay is added to the gradient.
    Sgd(SgdConfig), "sgd", Some("sgd");
    /// Adam. Weight decay is added to the gradient.
    Adam(AdamConfig), "adam", Some("adam");
    /// Adam with decoupled weight decay.
    AdamW(AdamWConfig), "adamw", Some("adamw");
    /// [`OptimizerConfig::Sgd`] with its momentum in 8 bits.
    Sgd8bit(Sgd8bitConfig), "sgd8bit", Some("sgd");
    /// [`OptimizerConfig::Adam`] with both moments in 8 bits.
    Adam8bit(Adam8bitConfig), "adam8bit", Some("adam");
    /// [`OptimizerConfig::AdamW`] with both moments in 8 bits.
    AdamW8bit(AdamW8bitConfig), "adamw8bit", Some("adamw");
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Sgd(SgdConfig::recipe())
    }
}

impl OptimizerConfig {
    /// One of [`Self::NAMES`], with the default settings of recipes.
    ///
    /// # Errors
    /// Another name.
    pub fn named(name: &str) -> Result<Self> {
        let table =
            toml::Table::from_iter([("kind".to_owned(), toml::Value::String(name.to_owned()))]);
        table
            .try_into()
            .map_err(|e: toml::de::Error| Error::Invalid(format!("optimizer: {}", e.message())))
    }

    /// The optimizer. It does not check gradients, because the caller has checked them, as
    /// [`crate::train`] does. Optimizers that check are made by [`crate::optim`]'s configurations.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn init(&self) -> Result<Stepper> {
        self.settings().optimizer()
    }

    /// The optimizer with its states from a checkpoint.
    ///
    /// # Errors
    /// A record of another kind of optimizer or block size, or a damaged one.
    pub fn restore(&self, record: Bytes) -> Result<Stepper> {
        self.settings().restored(record)
    }

    /// A record of this optimizer, which has been checked, for parameters whose rows have moved.
    ///
    /// # Errors
    /// A record of parameters of other shapes.
    pub(crate) fn moved(&self, record: Bytes, rows: &Rows) -> Result<Bytes> {
        rows.moved(record, &self.settings().held())
    }

    /// Bytes of state for tensors of so many values.
    pub fn state_bytes(&self, tensors: &[usize]) -> usize {
        tensors.iter().map(|&count| self.settings().state_bytes(count)).sum()
    }

    /// Whether a step on a tensor of so many values needs memory for new ones.
    pub fn makes_new_values(&self, count: usize) -> bool {
        self.settings().makes_new_values(count)
    }
}

/// Reads a name, as in `optimizer = "sgd8bit"`, as well as a table with the key `kind`.
pub(super) fn name_or_table<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<OptimizerConfig, D::Error> {
    struct Either;

    impl<'de> Visitor<'de> for Either {
        type Value = OptimizerConfig;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            write!(
                f,
                "the name of an optimizer ({}) or a table with its `kind`",
                OptimizerConfig::NAMES.join(", ")
            )
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
            let pair = std::iter::once(("kind", name));
            OptimizerConfig::deserialize(MapDeserializer::new(pair))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            OptimizerConfig::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(Either)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::{Gate, States};

    fn read(text: &str) -> Result<OptimizerConfig, String> {
        toml::from_str(text).map_err(|e: toml::de::Error| e.message().to_owned())
    }

    #[test]
    fn every_name_is_read_and_written() {
        for name in OptimizerConfig::NAMES {
            let config = OptimizerConfig::named(name).unwrap();
            assert_eq!(config.name(), name);
            if let Some(whole) = config.whole() {
                let twin = OptimizerConfig::named(whole).unwrap();
                assert_eq!(twin.whole(), Some(whole), "{name}");
            }
            assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
            assert!(config.init().is_ok());
        }
        let error = OptimizerConfig::named("lion").unwrap_err().to_string();
        assert!(error.starts_with("optimizer: unknown variant `lion`"), "{error}");
        for name in OptimizerConfig::NAMES {
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }

    /// Recipes of finished runs hold these lines.
    #[test]
    fn settings_are_written_in_their_old_order() {
        let lines = |name: &str| -> Vec<String> {
            let text = toml::to_string(&OptimizerConfig::named(name).unwrap()).unwrap();
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        let states = "[states] block_size = 256 min_size = 4096 rounding = \"nearest\"";
        for (name, settings) in [
            ("sgd", "momentum = 0.9 nesterov = true weight_decay = 0.0001"),
            ("sgd8bit", "momentum = 0.9 dampening = 0.0 nesterov = true weight_decay = 0.0001"),
            ("adam", "beta1 = 0.9 beta2 = 0.999 epsilon = 0.00000001 weight_decay = 0.0"),
            ("adamw", "beta1 = 0.9 beta2 = 0.999 epsilon = 0.00000001 weight_decay = 0.05"),
        ] {
            let wanted = format!("kind = \"{name}\" {settings}");
            let wanted = if name == "sgd8bit" { format!("{wanted} {states}") } else { wanted };
            assert_eq!(lines(name).join(" "), wanted);
            if name.starts_with("adam") {
                let wanted = format!("kind = \"{name}8bit\" {settings} guard = true {states}");
                assert_eq!(lines(&format!("{name}8bit")).join(" "), wanted);
            }
        }
    }

    #[test]
    fn what_is_left_out_is_the_recipes_default() {
        assert_eq!(read("kind = \"sgd\"").unwrap(), OptimizerConfig::default());
        let OptimizerConfig::Sgd8bit(sgd) = read("kind = \"sgd8bit\"\nmomentum = 0.8").unwrap()
        else {
            panic!("another optimizer")
        };
        assert_eq!(sgd, Sgd8bitConfig { momentum: 0.8, ..Sgd8bitConfig::recipe() });
        let OptimizerConfig::AdamW8bit(adam) =
            read("kind = \"adamw8bit\"\nstates.block_size = 64").unwrap()
        else {
            panic!("another optimizer")
        };
        let states = States { block_size: 64, ..States::default() };
        assert_eq!(adam, AdamW8bitConfig { states, weight_decay: 0.05, ..Default::default() });
    }

    #[test]
    fn unknown_settings_are_errors() {
        for (text, wanted) in [
            ("kind = \"sgd\"\nbeta1 = 0.5", "unknown field `beta1`"),
            ("kind = \"adam\"\nguard = true", "unknown field `guard`"),
            ("kind = \"adamw\"\nmomentum = 0.5", "unknown field `momentum`"),
            ("kind = \"sgd8bit\"\nguard = true", "unknown field `guard`"),
            ("kind = \"adam8bit\"\ndecay = \"coupled\"", "unknown field `decay`"),
            ("kind = \"adam8bit\"\nstates.size = 1", "unknown field `size`"),
            ("kind = \"adamw8bit\"\nbeta1 = \"0.9\"", "invalid type: string"),
            ("momentum = 0.9", "missing field `kind`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    /// The 8-bit states take a quarter of those of the optimizer they are compared with.
    #[test]
    fn bytes_of_state() {
        let bytes = |name: &str| OptimizerConfig::named(name).unwrap().state_bytes(&[100, 10_000]);
        assert_eq!(["sgd", "adam", "adamw"].map(bytes), [40_400, 80_800, 80_800]);
        let held = 400 + 10_000 + 4 * 40;
        assert_eq!(["sgd8bit", "adam8bit", "adamw8bit"].map(bytes), [held, 2 * held, 2 * held]);
        let none = OptimizerConfig::Sgd(SgdConfig::new().with_momentum(0.0));
        assert_eq!(none.state_bytes(&[100]), 0);
        let eight = OptimizerConfig::named("adam8bit").unwrap();
        assert_eq!(eight.whole(), Some("adam"));
        assert_eq!([4095, 4096].map(|n| eight.makes_new_values(n)), [true, false]);
    }

    /// Adam's states come back from a record and go on the same; those of SGD are refused.
    #[test]
    fn records_of_adam_are_restored() {
        use burn::module::Module;
        use burn::nn::LinearConfig;
        use burn::optim::GradientsParams;
        use burn::tensor::{Device, Tensor};

        let config = OptimizerConfig::named("adam").unwrap();
        let start = LinearConfig::new(4, 3).init(&Device::default()).train();
        let step = |optimizer: &mut Stepper, module: burn::nn::Linear| {
            let mut gradients = GradientsParams::new();
            gradients.register(module.weight.id, Tensor::<2>::ones([4, 3], &Device::default()));
            optimizer.step(0.1, module, gradients, Gate::Open(1.0))
        };
        let mut optimizer = config.init().unwrap();
        let once = step(&mut optimizer, start.clone());
        let mut again = config.restore(optimizer.into_bytes().unwrap()).unwrap();
        let [a, b] = [&mut optimizer, &mut again]
            .map(|optimizer| step(optimizer, once.clone()).weight.val().into_data());
        assert!(a == b);
        let mut sgd = OptimizerConfig::default().init().unwrap();
        step(&mut sgd, start);
        let error = config.restore(sgd.into_bytes().unwrap()).err().unwrap().to_string();
        assert!(error.contains("of another optimizer than adam, or damaged"), "{error}");
    }
}
