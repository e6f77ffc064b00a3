//! The first admin, made as the command line makes it: by the domain, on the service's database, beside the service.

use glasshouse::{
    domain::{
        Clock,
        auth::{HashingMetrics, Password, Passwords},
        users::{Email, Name, Registration, Role, UserMetrics, Users},
    },
    faults::Switchboard,
    store::Store,
    telemetry::{Metrics, Tracer},
};

use super::{PASSWORD, Service, Session};

impl Service {
    /// An admin of that address that has signed in.
    pub(crate) async fn admin(&self, email: &str) -> Session {
        let metrics = Metrics::new(1000);
        let store = Store::open(&self.store, Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
        let passwords = Passwords::start(1, std::time::Duration::from_secs(10), HashingMetrics::new(&metrics)).unwrap();
        let users = Users::new(store.users.clone(), passwords, Clock::system(), UserMetrics::new(&metrics));
        let registration = Registration {
            email: Email::parse(email).unwrap(),
            name: Name::parse("Root").unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
        };
        users.register_by_hand(registration, Role::Admin).await.unwrap();
        store.close().await;
        self.client().signed_in(email).await
    }
}
